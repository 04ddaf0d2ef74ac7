"""Writes Philips, Mortara and Schiller XML as the devices do, with an XLI encoder of its own.

`python -m tests.unit.formats.device_xml` writes the golden files of Mortara and Schiller anew, from the CC BY
record E07500 (CinC 2021). The persons are inventions.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12
from tests.unit.formats.ge_xml import GOLDEN, e07500

Counts = Mapping[str, npt.NDArray[np.int16]]


def lzw(data: bytes) -> bytes:
    """LZW with 10-bit codes, most significant bit first; the table stops at code 1022, 1023 ends."""
    table = {bytes((x,)): x for x in range(256)}
    codes: list[int] = []
    held = b""
    for x in data:
        longer = held + bytes((x,))
        if longer in table:
            held = longer
            continue
        codes.append(table[held])
        if len(table) < 1023:
            table[longer] = len(table)
        held = bytes((x,))
    codes += [table[held], 1023]
    bits = "".join(f"{x:010b}" for x in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def xli_chunk(counts: npt.NDArray[np.int16]) -> bytes:
    """One lead as XLI stores it: second differences, upper bytes before lower bytes, then LZW."""
    x = counts.astype(np.int64)
    words = np.zeros(x.size, np.int64)
    words[:2] = x[:2]
    second = 2 * x[1:-1] - x[:-2] - x[2:]
    words[2:-1] = second[1:] + 64
    packed = words.astype(np.int16).view(np.uint16)
    codes = lzw((packed >> 8).astype(np.uint8).tobytes() + (packed & 255).astype(np.uint8).tobytes())
    start = int(second[:1].astype(np.int16)[0])
    return struct.pack("<ihh", len(codes), 1, start) + codes


def with_differences(counts: Counts) -> dict[str, npt.NDArray[np.int16]]:
    """Limb leads as what is left of them after Einthoven and Goldberger."""
    one, two, three = (counts[x].astype(np.int32) for x in ("I", "II", "III"))
    left = {
        "III": two - one - three,
        "aVR": -((one + two) >> 1) - counts["aVR"],
        "aVL": ((one - three) >> 1) - counts["aVL"],
        "aVF": ((two + three) >> 1) - counts["aVF"],
    }
    return {x: left.get(x, counts[x]).astype(np.int16) for x in counts}


def xli(counts: Counts) -> str:
    """All leads, base64."""
    return base64.b64encode(b"".join(map(xli_chunk, with_differences(counts).values()))).decode()


def plain(counts: Counts) -> str:
    """All leads uncompressed, base64."""
    return base64.b64encode(b"".join(x.astype("<i2").tobytes() for x in counts.values())).decode()


def philips(waveforms: str, *, version: str = "1.04.01", encoding: str = "utf-8", **parts: str) -> bytes:
    """A document; `parts` replace `signal`, `age`, `more` and `annotations`."""
    signal = parts.get("signal", "<samplingrate>500</samplingrate><resolution>5</resolution>")
    body = f"""<?xml version="1.0" encoding="{encoding}"?>
<restingecgdata xmlns="http://www3.medical.philips.com">
<documentinfo><documenttype>PhilipsECG</documenttype><documentversion>{version}</documentversion></documentinfo>
<dataacquisition date="2020-05-18" time="15:48:11">
<machine machineid="US71621374" detaildescription="Philips:860315:A.07">PageWriter TC</machine>
<acquirer><operator id="OP7"/><room>R12</room></acquirer>
<signalcharacteristics>{signal}</signalcharacteristics></dataacquisition>
<patient><generalpatientdata><patientid>TEST-0042</patientid>
<name><lastname>Nobody</lastname><firstname>Nora</firstname></name>
<age defaultage="50">{parts.get("age", "<dateofbirth>1951-06-01</dateofbirth>")}</age><sex>Female</sex>
</generalpatientdata></patient>{parts.get("more", "")}
<waveforms>{waveforms}</waveforms></restingecgdata>"""
    return body.encode(encoding)


def parsed(text: str, *, seconds: float, labels: str = " ".join(STANDARD_12), **attributes: str) -> str:
    """A `parsedwaveforms` element of version 1.04; `attributes` replace or (with "") leave out."""
    fields = {
        "dataencoding": "Base64",
        "compression": "XLI",
        "numberofleads": str(len(labels.split())),
        "leadlabels": labels,
        "durationperchannel": f"{seconds * 1000:g}",
        "samplespersecond": "500",
        "resolution": "5",
        "bitspersample": "16",
        "hipass": "0.05",
        "lowpass": "150",
        "notchfiltered": "True",
        "notchfilterfreqs": "60 120",
    } | attributes
    return (
        "<parsedwaveforms "
        + " ".join(f'{k}="{v}"' for k, v in fields.items() if v)
        + f">{text}</parsedwaveforms>"
    )


def mortara(counts: Counts, *, cycle: str = "", **changed: str) -> bytes:
    """An ELI document; `changed` replaces or (with "") leaves out attributes of the channels."""
    channels: list[str] = []
    for name, x in counts.items():
        fields = {
            "OFFSET": "0",
            "BITS": "16",
            "FORMAT": "SIGNED",
            "UNITS_PER_MV": "200",
            "DURATION": str(x.size),
            "SAMPLE_FREQ": "500",
            "NAME": name,
            "ENCODING": "BASE64",
            "DATA": base64.b64encode(x.astype("<i2").tobytes()).decode(),
        } | changed
        channels.append("<CHANNEL " + " ".join(f'{k}="{v}"' for k, v in fields.items() if v) + "/>\n")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ECG ACQUISITION_TIME="20231201120000" ACQUISITION_TIME_XML="2023-12-01T12:00:00" AGE="99" AGE_UNITS="Y"
 ROOM="R12" COMMENT="Chest pain" VENT_RATE="75" AVERAGE_RR="800" TECHNICIAN="Tim Nobody">
<SOURCE TYPE="STD-12" MANUFACTURER="MORTARA" MODEL="ELI 250" ACQUIRING_DEVICE_SERIAL_NUMBER="SN123456"/>
<SUBJECT ID="TEST-0042" LAST_NAME="Nobody" FIRST_NAME="Nora" GENDER="Female" DOB="19240515"/>
<AUTOMATIC_INTERPRETATION><STATEMENT TEXT="SINUS RHYTHM" REASON="P, RATE 60-99"/></AUTOMATIC_INTERPRETATION>
{"".join(channels)}{cycle}</ECG>
""".encode()


def typical_cycle(counts: Counts, *, stated: str = 'BITS="16" UNITS_PER_MV="400" SAMPLE_FREQ="1000"') -> str:
    """A `TYPICAL_CYCLE` with measurements and a median for each lead."""
    beats = "".join(
        f'<TYPICAL_CYCLE_CHANNEL NAME="{name}" DATA="{plain({name: x})}"/>' for name, x in counts.items()
    )
    measured = 'PR_DURATION="160" QRS_DURATION="90" P_AXIS="-5" QT="0"'
    return f"<TYPICAL_CYCLE {stated} {measured}>{beats}</TYPICAL_CYCLE>"


def schiller(rhythm: Counts, averages: Counts | None = None, **changed: str) -> bytes:
    """A SEMA document; `changed` replaces `exponent`, `units`, `kind`, `datastype`, `more`."""
    groups = _wavedata(changed.get("kind", "ECG_RHYTHMS"), rhythm, changed)
    groups += _wavedata("ECG_AVERAGES", averages, changed) if averages else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<com.xiriuz.sema.xml.schillerEDI.SchillerEDI>
<patdata><id>TEST-0042</id><lastname>Nobody</lastname><firstname>Nora</firstname><birthdate>19810501</birthdate>
<gender>FEMALE</gender></patdata>
<examdescript><startdatetime><date>20230430</date><time>081500</time></startdatetime>
<aquiringdevice><hardware><vendor>SCHILLER</vendor><model>AT-102</model></hardware></aquiringdevice>
</examdescript>
<eventdata><event><annotation_global><name>HR</name><value>61</value></annotation_global>{groups}</event>
</eventdata>{changed.get("more", "")}</com.xiriuz.sema.xml.schillerEDI.SchillerEDI>
""".encode()


def _wavedata(kind: str, counts: Counts, changed: Mapping[str, str]) -> str:
    channels = "".join(
        f"<channel><name>{name}</name><datastype>{changed.get('datastype', 'COMMASEPARATE')}</datastype>"
        f"<samplecount>{x.size}</samplecount><data>{','.join(map(str, x.tolist()))},</data></channel>\n"
        for name, x in counts.items()
    )
    return (
        f"<wavedata><type>{kind}</type><resolution><samplerate><value>500</value>"
        f"<exponent>{changed.get('exponent', '1')}</exponent></samplerate><yres><unitperbit>5</unitperbit>"
        f"<units>{changed.get('units', 'uV')}</units></yres></resolution>\n{channels}</wavedata>"
    )


def main() -> None:
    """Write the golden files: 4 s of the record."""
    counts = {name: x[:2000] for name, x in e07500(5).items()}
    beats = {name: x[:300] for name, x in counts.items()}
    (GOLDEN / "mortara/E07500.xml").write_bytes(mortara(counts, cycle=typical_cycle(beats)))
    (GOLDEN / "schiller/E07500.xml").write_bytes(schiller(counts, beats))


if __name__ == "__main__":
    main()
