"""Wrong answers to the exercises of lessons, other than the first tries that the lessons show."""

#: Lesson -> what a reader may write after its other cells, and words of what the check then says.
WRONG = {
    "padding": (
        """
class Wrong(Stem):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2)

    def forward(self, x):
        return super().forward(F.pad(x, (1, 0, 1, 0)))


check(Wrong())
""",
        "diverge at conv ",
    ),
    "ceil-mode": (
        """
class Wrong(Pooled):
    def __init__(self, rngs):
        self.fc = nnx.Linear(3 * 3 * 2, 3, rngs=rngs)

    def pool(self, x):
        return nnx.max_pool(x, (3, 3), (2, 2))


check(Wrong(nnx.Rngs(0)))
""",
        "wrong shape: fc.weight  expected 3x32, got 3x18",
    ),
    "kernel-size": (
        """
class Wrong(Square):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.conv = nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs)


check(Wrong(nnx.Rngs(0)))
""",
        "diverge at conv .*: Wrong has 4x6x6 there",
    ),
    "average-pool": (
        """
model = averaged()
model.pool = nn.AvgPool2d(3, 1, 1, divisor_override=4)
check(model)
""",
        "diverge at pool ",
    ),
    "lrn": (
        """
class Wrong(Norm):
    def call(self, x):
        return tf.nn.local_response_normalization(x, 2, bias=1.0, alpha=1e-4, beta=0.75)


check(network(Wrong(name="norm")))
""",
        "diverge at norm ",
    ),
    "batch-norm": (
        """
check(network(layers.BatchNormalization(momentum=0.9, name="bn")))
""",
        "diverge at bn ",
    ),
    "activations": (
        """
class Wrong(Curved):
    def __call__(self, x):
        return self.fc2(nnx.silu(self.fc1(x.reshape(len(x), -1))))


check(Wrong(nnx.Rngs(0)))
""",
        "diverge at fc2 ",
    ),
    "layouts": ("check(batch.transpose(0, 3, 2, 1))", "the model sees other images"),
    "flatten": (
        """
kernel = weight.reshape(5, 3, 4, 4).transpose(3, 2, 1, 0)
check(network(kernel.reshape(-1, 5)))
""",
        "the same network, other weights",
    ),
    "resize": (
        """
check(lambda pixels, size: F.interpolate(pixels, size, mode="bicubic", antialias=True))
""",
        "a pixel is off by",
    ),
    "losses": (
        """
model = keras.Sequential([keras.Input((3, 3, 2)), keras.layers.Flatten()])
model.add(keras.layers.Dense(4, name="fc"))
check(model)
""",
        "the same network, other weights",
    ),
    "train-eval": (
        """
class Wrong(Modes):
    def forward(self, x):
        return self.fc2(self.fc1(x.flatten(1)).relu())


check(Wrong())
""",
        "nothing drops in training",
    ),
    "dropout": (
        """
class Wrong(Dropped):
    def forward(self, x):
        return self.fc(self.dropout(x.flatten(1)))


check(Wrong())
""",
        "diverge at ",
    ),
    "initial-weights": (
        """
check(network(keras.initializers.LecunNormal(seed=0)))
""",
        "std 0.059, wanted 0.083",
    ),
    "seeds": (
        """
model.load_state_dict(zoo.build("seeded.yaml", "torch").state_dict())
check(model)
""",
        "the same network, other weights",
    ),
    "optimizers": (
        """
def wrong(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        zoo.loss(model, model(torch.tensor(x)), torch.tensor(labels)).backward()
        optimizer.step()


check(wrong)
""",
        r"fc\.weight is off by",
    ),
    "tracing": (
        """
class Wrong(Gate):
    def __call__(self, x):
        return self.fc2(self.fc1(x.reshape(len(x), -1)))


check(Wrong(nnx.Rngs(0)))
""",
        "diverge at fc2 .*\n.*Without gate ",
    ),
    "mixed-precision": (
        """
class Wrong(Halved):
    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))


check(Wrong())
""",
        "the convolution is in float32",
    ),
    "rounding": (
        """
class Wrong(Norm):
    def variance(self, x):
        return x.var(1, keepdim=True)


check(Steady(Wrong()))
""",
        "diverge at norm ",
    ),
    "vgg-to-googlenet": (
        """
class Wrong(Solution):
    def branches(self, x):
        return super().branches(x)[::-1]


check(Wrong())
""",
        "diverge at ",
    ),
}
