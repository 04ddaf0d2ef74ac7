"""Models change hands: signed and not, by file, bucket and another instance's endpoint behind TLS."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC

from exchangeai.__main__ import main
from exchangeai.config import BusConfig, StoreConfig
from exchangeai.errors import ContractViolation, NotReady, TooLarge, Unavailable
from exchangeai.facts import SignatureVerdict
from exchangeai.model_file import model_digest, write_manifest
from exchangeai.model_parcel import Parcel, read_parcel
from exchangeai.rpc import invoke, open_channel
from exchangeai.rpc.models import Models, open_models
from exchangeai.signatures import sign
from exchangeai.synthetic import synthetic_window
from exchangeai.testing.models import tiny_graph, tiny_manifest, tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from services.inference.main import Config, run
from services.inference.sessions import Session
from tests.contract.service_thread import running_service
from tests.unit.inference.foreign_models import foreign_model

OURS, THEIRS = (ECC.generate(curve="P-256") for _ in range(2))
CARD = "# A model\n\n![](classes.svg)\n"
FIGURES = {"classes.svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"}


def _pem(key: ECC.EccKey) -> str:
    return str(key.export_key(format="PEM"))


def _signed(data: bytes, name: str, version: int, key: ECC.EccKey = OURS) -> Parcel:
    return Parcel(data=data, signature=sign(data, name=name, version=version, private_key=_pem(key)))


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trusted")
    (folder / "muenster.pem").write_text(_pem(OURS.public_key()))
    return folder


def _serving(bus: BusConfig, store: StoreConfig, **fields: Any) -> contextlib.AbstractContextManager[str]:
    config = Config(bus=bus, store=store, threads=1, max_model_bytes=1 << 20, **fields)
    return running_service(lambda *ends: run(config, *ends))


@pytest.fixture(scope="module")
def address(bus_config: BusConfig, store_config: StoreConfig, trusted: Path) -> Iterator[str]:
    with _serving(bus_config, store_config, trusted_keys=str(trusted)) as found:
        yield found


@pytest.fixture(scope="module")
def service(address: str) -> Iterator[Models]:
    with open_models(address) as models:
        yield models


def test_a_trusted_signature_is_stored_and_shown(service: Models) -> None:
    data = tiny_model(name="a", seed=40)
    model = service.take_in("signed", _signed(data, "signed", 3))
    assert (model.version, model.signature, model.signed_by) == (3, SignatureVerdict.TRUSTED, "muenster")
    assert model.quarantined
    version, out = service.give_out("signed")
    assert (version, out.data, out.signature) == (3, data, _signed(data, "signed", 3).signature)
    assert service.take_in("signed", Parcel(data=data)) == model


def test_unsigned_and_unknown_signers_are_told_apart(service: Models) -> None:
    data = tiny_model(name="b", seed=41)
    model = service.take_in("plain", Parcel(data=data))
    assert (model.version, model.signature, model.signed_by) == (1, SignatureVerdict.UNSIGNED, "")
    other = tiny_model(name="b", seed=42)
    model = service.take_in("plain", _signed(other, "whatever", 9, THEIRS))
    assert (model.version, model.signature) == (2, SignatureVerdict.UNKNOWN_KEY)
    # Whoever signs later vouches for the version that is here.
    model = service.take_in("plain", _signed(other, "plain", 2))
    assert (model.version, model.signature, model.signed_by) == (2, SignatureVerdict.TRUSTED, "muenster")


def test_swapped_renamed_downgraded_stripped_and_forged(service: Models) -> None:
    old, new, newest = (tiny_model(name="c", seed=seed) for seed in (43, 44, 45))
    service.take_in("careful", _signed(new, "careful", 5))

    def refused(parcel: Parcel, says: str, name: str = "careful") -> None:
        with pytest.raises(ContractViolation, match=says):
            service.take_in(name, parcel)

    refused(replace(_signed(new, "careful", 6), data=newest), "changed or swapped")
    refused(_signed(newest, "careful", 6), "renamed", name="other")
    refused(_signed(old, "careful", 4), "downgraded: it is signed as version 4")
    refused(_signed(newest, "careful", 5), "downgraded")
    refused(Parcel(data=newest), "no trusted signature, but version 5")
    refused(_signed(newest, "careful", 6, THEIRS), "no trusted signature, but version 5")
    ours, forged = _signed(newest, "careful", 6), _signed(newest, "careful", 6, THEIRS)
    hint, other = (x.signature.split(b'"hint":"')[1][:64] for x in (ours, forged))
    refused(
        replace(forged, signature=forged.signature.replace(other, hint)), "claims the trusted key 'muenster'"
    )
    refused(replace(ours, signature=ours.signature[:-40]), "damaged")
    refused(replace(ours, signature=b"{}"), "damaged")
    assert service.give_out("careful")[1].data == new
    assert service.take_in("careful", ours).version == 6


def test_a_model_that_a_known_one_was_trained_from_is_a_downgrade(service: Models) -> None:
    parent = tiny_model(name="d", seed=46)
    graph = tiny_graph(seed=47)
    manifest = replace(tiny_manifest(graph), parent_digest=model_digest(parent))
    service.take_in("child", Parcel(data=write_manifest(graph, manifest)))

    with pytest.raises(ContractViolation, match="trained from it"):
        service.take_in("child", Parcel(data=parent))
    assert service.take_in("parent", Parcel(data=parent)).version == 1


def test_cards_travel_and_do_not_replace_others(service: Models) -> None:
    data = tiny_model(name="e", seed=48)
    service.take_in("carded", Parcel(data=data, card=CARD, figures=FIGURES))
    assert service.give_out("carded", 1)[1] == Parcel(data=data, card=CARD, figures=FIGURES)
    service.take_in("carded", Parcel(data=data, card="# Another"))
    assert service.give_out("carded", 1)[1].card == CARD
    for figures, says in (
        ({"../x.svg": b""}, "named"),
        ({"x.html": b""}, "named"),
        ({"x.svg": b"<svg><script>alert(1)</script></svg>"}, "holds a program"),
        ({"x.svg": b"<svg onload = 'alert(1)'/>"}, "holds a program"),
    ):
        with pytest.raises(ContractViolation, match=says):
            service.take_in("carded", Parcel(data=data, card=CARD, figures=figures))
    with pytest.raises(TooLarge):
        service.take_in("carded", Parcel(data=data, card=CARD, figures={"x.png": bytes(9 << 20)}))


def test_a_site_may_insist_on_signatures(
    bus_config: BusConfig, store_config: StoreConfig, trusted: Path
) -> None:
    with (
        _serving(bus_config, store_config, trusted_keys=str(trusted), require_signature=True) as strict,
        open_models(strict) as service,
    ):
        data = tiny_model(name="f", seed=49)
        with pytest.raises(ContractViolation, match="unsigned"):
            service.take_in("strict", Parcel(data=data))
        with pytest.raises(ContractViolation, match="not in the trust list"):
            service.take_in("strict", _signed(data, "strict", 1, THEIRS))
        assert service.take_in("strict", _signed(data, "strict", 1)).signed_by == "muenster"
        unreadable = trusted / "broken.pem"
        unreadable.write_text("no key")
        try:
            with pytest.raises(NotReady, match="trust list") as told:
                service.take_in("strict", _signed(data, "strict", 1))
        finally:
            unreadable.unlink()
        # Where the list lies is no business of a caller.
        assert str(trusted) not in str(told.value)
        assert "broken" not in str(told.value)


def test_the_command_goes_all_the_way(
    address: str, tmp_path: Path, trusted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "private.pem"
    key.write_text(_pem(OURS))
    folder = tmp_path / "journey"
    folder.mkdir()
    model = folder / "journey.onnx"
    model.write_bytes(tiny_model(name="g", seed=50))
    (folder / "card.md").write_text(CARD)
    (folder / "classes.svg").write_bytes(FIGURES["classes.svg"])
    keys = ["--keys", str(trusted), "--require-signature"]
    assert main(["models", "verify", str(model), *keys]) == 1
    assert "unsigned" in capsys.readouterr().err
    assert main(["models", "sign", str(model), "--key", str(key), "--name", "journey", "--version", "2"]) == 0
    assert main(["models", "verify", str(model), *keys]) == 0
    said = capsys.readouterr().out
    assert "signed by muenster as journey version 2" in said
    assert "5 classes: NORM" in said
    assert main(["models", "import", str(model), "--to", address]) == 0
    assert "journey version 2" in capsys.readouterr().out
    out = tmp_path / "out"
    assert main(["models", "export", "journey", "--from", address, "--out", str(out)]) == 0
    assert sorted(x.name for x in out.iterdir()) == [
        "card.md",
        "classes.svg",
        "journey.2.onnx",
        "journey.2.onnx.sig",
    ]
    assert read_parcel(out) == read_parcel(folder)
    assert main(["models", "import", str(out / "journey.2.onnx"), "--to", address]) == 0
    model.write_bytes(b"\x80\x04.")
    assert main(["models", "verify", str(model)]) == 1
    assert main(["models", "verify", str(tmp_path / "nowhere.onnx")]) == 2


def test_a_foreign_model_is_wrapped_imported_approved_and_answers(address: str, tmp_path: Path) -> None:
    keys = {"target_keys": "['CD', 'HYP', 'MI', 'STTC']", "standardizer": "None", "scale": "mikroVolt"}
    foreign, wrapped = tmp_path / "foreign.onnx", tmp_path / "Their Model.onnx"
    foreign.write_bytes(foreign_model(metadata=keys).SerializeToString())
    assert main(["models", "wrap", str(foreign), "--out", str(wrapped)]) == 0
    assert main(["models", "verify", str(wrapped)]) == 0
    assert main(["models", "import", str(wrapped), "--to", address]) == 0
    window = synthetic_window(5)
    expected = Session(wrapped.read_bytes(), threads=1).run(window[None])["probabilities"][0]
    with open_channel(address) as channel:
        stub: Any = InferenceServiceStub(channel)
        invoke(stub.ApproveModel, pb.ApproveModelRequest(name="their-model", version=1), timeout_s=30)
        tensor = pb.EcgTensor(shape=[1, 12, 5000], values_mv=window.tobytes())
        request = pb.PredictRequest(
            model_name="their-model", tensor=tensor, include_saliency=True, include_embedding=True
        )
        answer = invoke(stub.Predict, request, timeout_s=30)
    assert [x.name for x in answer.findings] == ["CD", "HYP", "MI", "STTC"]
    assert [x.probability for x in answer.findings] == pytest.approx(expected, abs=1e-6)
    assert {"the model gives no saliency", "the model gives no embedding"} <= set(answer.notes)
    foreign.write_bytes(foreign_model(metadata={"target_keys": "open('x', 'w')"}).SerializeToString())
    assert main(["models", "wrap", str(foreign), "--out", str(wrapped)]) == 1


def test_by_way_of_a_bucket(
    address: str, service: Models, store_config: StoreConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in ("url", "access_key", "secret_key"):
        monkeypatch.setenv(f"EXCHANGEAI_STORE_{field.upper()}", getattr(store_config, field))
    data = tiny_model(name="h", seed=51)
    parcel = replace(_signed(data, "bucketed", 4), card=CARD, figures=FIGURES)
    service.take_in("bucketed", parcel)
    place = f"s3://{store_config.bucket_prefix}-runs/exchange/bucketed"
    assert main(["models", "export", "bucketed", "--from", address, "--out", place]) == 0
    for source in (place, f"{place}/", f"{place}/bucketed.4.onnx"):
        assert main(["models", "import", source, "--to", address, "--name", "bucketed"]) == 0
    assert service.give_out("bucketed")[1] == parcel
    assert main(["models", "import", f"{place}-nowhere", "--to", address]) == 2


@contextlib.contextmanager
def _behind_tls(folder: Path, address: str) -> Iterator[str]:
    """What an ingress does: TLS outside, the service's plain port inside."""
    certificate, key = folder / "server.pem", folder / "server.key"
    request = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pour(reader, inner_writer), pour(inner_reader, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_from_another_instance_over_tls(address: str, service: Models, tmp_path: Path) -> None:
    data = tiny_model(name="i", seed=52)
    parcel = replace(_signed(data, "remote", 7), card=CARD, figures=FIGURES)
    service.take_in("remote", parcel)
    with _behind_tls(tmp_path, address) as far:
        ca = ["--ca", str(tmp_path / "server.pem")]
        assert main(["models", "import", f"grpcs://{far}/remote/7", "--to", address, *ca]) == 0
        assert (
            main(["models", "export", "remote", "--from", f"grpcs://{far}", "--out", str(tmp_path), *ca]) == 0
        )
        assert read_parcel(tmp_path / "remote.7.onnx") == parcel
        assert main(["models", "import", f"grpcs://{far}/remote", "--to", f"grpcs://{far}", *ca]) == 0
        assert main(["models", "import", f"grpcs://{far}/nobody", "--to", address, *ca]) == 2
        # Another authority: the server is not believed, and nothing is sent in clear.
        with open_models(far, tls=True) as stranger, pytest.raises(Unavailable):
            stranger.give_out("remote")
