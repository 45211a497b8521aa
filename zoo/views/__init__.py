"""What people look at: summaries, differences and drawings of networks.

Each is plain data first, then tables or pictures made from it, then a class that shows itself.
"""
