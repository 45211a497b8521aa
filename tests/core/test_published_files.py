"""Downloads: checked, kept, never half; and what is said where there is no network."""

from __future__ import annotations

import errno
import hashlib
import http.server
import multiprocessing
import os
import signal
import threading
import time

import pytest

from zoo import downloads
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.weights import published_files, sources

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def server():
    """Serves CONTENT, and counts how often."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            time.sleep(0.3 if "slow" in self.path else 0)
            body = CONTENT[:-1000] if "short" in self.path else CONTENT
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    requests: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def publish(server, tmp_path, monkeypatch):
    """Lets torchvision publish vgg16 here."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    table = sources.source("torchvision")

    def publish(name="vgg16.pth", **hashes):
        file = sources.File.model_construct(
            url=f"{server[0]}/{name}", **{"sha256": None, "md5": None, **hashes}
        )
        network = table.networks["vgg16"].model_copy(update={"file": file})
        changed = {**table.networks, "vgg16": network}
        monkeypatch.setitem(
            sources.sources(), "torchvision", table.model_copy(update={"networks": changed})
        )
        return tmp_path / "cache" / "torchvision" / name

    return publish


SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "hashes", [{"sha256": SHA256}, {"sha256": SHA256[:8]}, {"md5": MD5}, {"sha1": SHA1}]
)
def test_a_file_is_downloaded_once(hashes, publish, server):
    expected = publish(**hashes)
    assert published_files.fetch("torchvision", "vgg16") == expected
    assert expected.read_bytes() == CONTENT
    assert published_files.fetch("torchvision", "vgg16") == expected
    assert server[1] == ["/vgg16.pth"]


def test_a_file_that_someone_put_there_is_checked_too(publish, server):
    path = publish(sha256=SHA256)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert published_files.fetch("torchvision", "vgg16") == path
    path.write_bytes(CONTENT[:-1])
    message = r"is not the file that was published: its sha256 is .*Delete it and try again$"
    with pytest.raises(WeightsError, match=message):
        published_files.fetch("torchvision", "vgg16")
    assert path.read_bytes() == CONTENT[:-1], "the user's file was touched"
    assert not server[1]


@pytest.mark.parametrize(
    ("name", "hashes", "message"),
    [
        (
            "vgg16.pth",
            {"sha256": "0" * 64},
            r"^what was downloaded from http\S+/vgg16.pth is not the file that was published: "
            r".*It was not kept; try again$",
        ),
        ("missing.pth", {"sha256": SHA256}, "cannot be downloaded .* Put the file at .* yourself"),
        ("short.pth", {"sha256": SHA256}, "cannot be downloaded|not the file that was published"),
    ],
)
def test_nothing_wrong_is_kept(name, hashes, message, publish):
    path = publish(name, **hashes)
    with pytest.raises(WeightsError, match=message):
        published_files.fetch("torchvision", "vgg16")
    assert not list(path.parent.iterdir())


def test_a_download_is_a_line_where_there_is_no_terminal(publish, capsys):
    publish(md5=MD5)
    published_files.fetch("torchvision", "vgg16")
    assert "Downloading " in capsys.readouterr().err


def test_without_a_network(publish, server, monkeypatch):
    path = publish(sha256=SHA256)
    file = sources.source("torchvision").networks["vgg16"].file
    object.__setattr__(file, "url", "http://127.0.0.1:9/vgg16.pth")  # nobody listens there
    with pytest.raises(WeightsError) as caught:
        published_files.fetch("torchvision", "vgg16")
    assert "Connection refused" in str(caught.value)
    assert f"Put the file at {path} yourself" in str(caught.value)


def test_what_is_not_published():
    with pytest.raises(InputError, match="'nin_cifar10' that zoo knows, and no other source does"):
        published_files.fetch("timm", "nin_cifar10")
    with pytest.raises(InputError, match=r"knows. Did you mean 'googlenet_torchvision'\?$"):
        published_files.fetch("torchvision", "googlenet")
    with pytest.raises(InputError, match="of 'xception' that zoo knows; keras.* do"):
        published_files.fetch("torchvision", "xception")
    with pytest.raises(InputError, match="'vgg9' that zoo knows, and no other source does"):
        published_files.fetch("torchvision", "vgg9")
    with pytest.raises(InputError, match="publishes the code of vgg11, but no weights"):
        published_files.fetch("paddle", "vgg11")
    with pytest.raises(UnknownNameError, match="unknown source of weights 'tv'"):
        published_files.fetch("tv", "vgg16")
    with pytest.raises(WeightsError, match="no hash is known for timm's model.safetensors"):
        published_files.fetch("timm", "vgg16")


def test_a_download_without_end(publish, monkeypatch):
    publish(sha256=SHA256)
    monkeypatch.setattr(downloads, "MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="the file has more than 1,000 bytes"):
        published_files.fetch("torchvision", "vgg16")


def test_two_downloads_of_one_file_wait_for_each_other(publish, server):
    path = publish("slow.pth", sha256=SHA256)
    context = multiprocessing.get_context("fork")
    arguments = ("torchvision", "vgg16")
    processes = [context.Process(target=published_files.fetch, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert server[1] == ["/slow.pth"]
    assert list(path.parent.iterdir()) == [path]


def killed(name, network):
    """Downloads, and is killed when the file is there and before it has its name."""
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    published_files.fetch(name, network)


def test_what_killed_downloads_leave_is_removed_by_the_next(publish):
    path = publish(sha256=SHA256)
    for _ in range(3):
        process = multiprocessing.get_context("fork").Process(
            target=killed, args=("torchvision", "vgg16")
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert sum(each.stat().st_size for each in path.parent.rglob("*part*")) == len(CONTENT)
    assert published_files.fetch("torchvision", "vgg16") == path
    assert list(path.parent.iterdir()) == [path]


def test_where_nothing_can_be_kept(publish, tmp_path, monkeypatch, server):
    path = publish(sha256=SHA256)
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "torchvision" / path.name).mkdir(parents=True)
    for place, reason in (
        (tmp_path / "file", "Not a directory"),
        (tmp_path / "taken", "Is a directory"),
        ("/proc", "No such file or directory"),
        ("x" * 300, "File name too long"),
    ):
        monkeypatch.setenv("ZOO_CACHE", str(place))
        message = f"cannot be kept in the cache folder .*: {reason}. Set the environment variable"
        with pytest.raises(WeightsError, match=message):
            published_files.fetch("torchvision", "vgg16")
    assert not server[1], "it was downloaded for nothing"


def test_a_disk_that_is_full(publish, monkeypatch):
    path = publish(sha256=SHA256)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match="cannot be kept .*: No space left on device. Set"):
        published_files.fetch("torchvision", "vgg16")
    assert not list(path.parent.iterdir())


def test_a_cache_that_is_only_read(publish, monkeypatch):
    path = publish(sha256=SHA256)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)

    def written(*_, **__):
        raise AssertionError("something was written")

    monkeypatch.setattr(os, "open", written)
    monkeypatch.setattr(os, "mkdir", written)
    assert published_files.fetch("torchvision", "vgg16") == path


@pytest.mark.parametrize(
    ("source", "network", "message"),
    [
        (
            "caffe",
            "googlenet_bvlc",
            "bvlc_googlenet.caffemodel cannot be fetched over HTTPS.*caffe:PATH",
        ),
        ("caffe", "squeezenet1_1_caffe", "no hash is known for .*squeezenet_v1.1.caffemodel"),
        ("slim", "vgg16", "vgg_16_2016_08_28.tar.gz is an archive.*the path of the file in it"),
    ],
)
def test_what_is_not_downloaded(source, network, message):
    with pytest.raises(WeightsError, match=message) as caught:
        published_files.fetch(source, network)
    assert sources.source(source).networks[network].file.url in str(caught.value)


def test_every_file_without_https_is_marked():
    for table in sources.sources().values():
        for network in table.networks.values():
            for file in network.published:
                by_hand = file.is_archive or not file.url.startswith("https://")
                assert by_hand != file.download


def test_a_name_without_what_follows_it_in_an_address():
    file = sources.source("caffe").networks["nin_imagenet"].file
    assert file.url.endswith("?dl=1")
    assert file.name == "nin_imagenet.caffemodel"


def test_a_file_is_recognized_by_its_sha1(publish, tmp_path):
    publish(sha1=SHA1, download=False)
    path = tmp_path / "mine"
    table = sources.source("torchvision")
    for content, known in ((CONTENT, True), (CONTENT[1:], False)):
        path.write_bytes(content)
        found, _ = published_files.recognized(path, [table], "vgg16")
        assert (found is table) == known
