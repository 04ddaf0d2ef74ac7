"""Writes MUSE and CardioSoft XML as the devices do, because their real samples may not be copied.

`python -m tests.unit.formats.ge_xml` writes the golden files anew, from the CC BY record E07500 (CinC 2021).
The persons are inventions.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
Counts = Mapping[str, npt.NDArray[np.int16]]


def e07500(uv_per_count: float) -> dict[str, npt.NDArray[np.int16]]:
    """The twelve leads of the record as counts of that many microvolts, 10 s at 500 Hz."""
    table = np.load(GOLDEN / "npy" / "E07500_be_fortran_int16.npy")
    counts = np.round(table / uv_per_count).astype(np.int16)
    return {name: counts[:, i] for i, name in enumerate(STANDARD_12)}


def lead_data(name: str, counts: npt.NDArray[np.int16], *, crc: int | None = None, **changed: str) -> str:
    """One `LeadData` element; `changed` replaces or (with "") leaves out elements."""
    data = counts.astype("<i2").tobytes()
    fields = {
        "LeadByteCountTotal": str(len(data)),
        "LeadTimeOffset": "0",
        "LeadSampleCountTotal": str(counts.size),
        "LeadAmplitudeUnitsPerBit": "4.88",
        "LeadAmplitudeUnits": "MICROVOLTS",
        "LeadHighLimit": "32767",
        "LeadLowLimit": "-32768",
        "LeadID": name,
        "LeadOffsetFirstSample": "0",
        "FirstSampleBaseline": "0",
        "LeadSampleSize": "2",
        "LeadOff": "FALSE",
        "BaselineSway": "FALSE",
        "LeadDataCRC32": str(zlib.crc32(data) if crc is None else crc),
    } | changed
    body = "".join(f"<{k}>{v}</{k}>\n" for k, v in fields.items() if v)
    text = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 76))
    return f"<LeadData>\n{body}<WaveFormData>\n{text}\n</WaveFormData>\n</LeadData>\n"


def waveform(kind: str, leads: str, *, base: str = "500", exponent: str = "0") -> str:
    """One `Waveform` element; `kind` is Rhythm or Median."""
    return (
        f"<Waveform>\n<WaveformType>{kind}</WaveformType>\n<WaveformStartTime>0</WaveformStartTime>\n"
        f"<NumberofLeads>{leads.count('<LeadData>')}</NumberofLeads>\n"
        f"<SampleType>CONTINUOUS_SAMPLES</SampleType>\n<SampleBase>{base}</SampleBase>\n"
        f"<SampleExponent>{exponent}</SampleExponent>\n<HighPassFilter>5</HighPassFilter>\n"
        f"<LowPassFilter>150</LowPassFilter>\n<ACFilter>50</ACFilter>\n{leads}</Waveform>\n"
    )


MUSE_HEAD = """<PatientDemographics>
<PatientID>TEST-0042</PatientID><PatientAge>93</PatientAge><AgeUnits>YEARS</AgeUnits>
<DateofBirth>04-30-1930</DateofBirth><Gender>FEMALE</Gender>
<PatientLastName>Nobody</PatientLastName><PatientFirstName>Nora</PatientFirstName>
</PatientDemographics>
<TestDemographics>
<AcquisitionDevice>MAC55</AcquisitionDevice><AcquisitionDate>05-13-2023</AcquisitionDate>
<AcquisitionTime>08:15:00</AcquisitionTime><LocationName>Ward</LocationName>
</TestDemographics>
<Diagnosis><Modality>RESTING</Modality>
<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>Sinus rhythm</StmtText></DiagnosisStatement>
<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>Otherwise normal ECG</StmtText>
</DiagnosisStatement>
</Diagnosis>
<OriginalDiagnosis><Modality>RESTING</Modality>
<DiagnosisStatement><StmtText>Undetermined rhythm</StmtText></DiagnosisStatement>
</OriginalDiagnosis>
<RestingECGMeasurements>
<VentricularRate>61</VentricularRate><PRInterval>160</PRInterval><QRSDuration>96</QRSDuration>
<QTInterval>400</QTInterval><QTCorrected>403</QTCorrected><PAxis>51</PAxis><RAxis>-20</RAxis>
<TAxis>40</TAxis><POnset>147</POnset><QOnset>216</QOnset><QOffset>264</QOffset><TOffset>442</TOffset>
<ECGSampleBase>500</ECGSampleBase><ECGSampleExponent>0</ECGSampleExponent>
<QTcFrederica>402</QTcFrederica>
</RestingECGMeasurements>
<OriginalRestingECGMeasurements><VentricularRate>60</VentricularRate><AtrialRate>62</AtrialRate>
</OriginalRestingECGMeasurements>
<QRSTimesTypes>
<QRS><Number>1</Number><Type>0</Type><Time>614</Time></QRS>
<QRS><Number>2</Number><Type>1</Type><Time>1914</Time></QRS>
<GlobalRR>984</GlobalRR>
</QRSTimesTypes>
"""


def muse(*waveforms: str, head: str = MUSE_HEAD) -> bytes:
    """A whole file, with the DOCTYPE that MUSE writes."""
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n'
        f"<RestingECG>\n<MuseInfo><MuseVersion>9.0</MuseVersion></MuseInfo>\n{head}"
        f"{''.join(waveforms)}</RestingECG>\n"
    )
    return text.encode("latin-1")


def numbers(counts: npt.NDArray[np.int16]) -> str:
    """Comma-separated lines of 100, each but the last with a comma at its end."""
    words = [str(x) for x in counts.tolist()]
    return ",\n\t\t\t".join(",".join(words[i : i + 100]) for i in range(0, len(words), 100))


def strip(tag: str, counts: Counts, *, resolution: str = "5", extra: str = "") -> str:
    """`StripData`, `MedianSamples` or a kin of them."""
    size = max(x.size for x in counts.values())
    leads = "".join(
        f'<WaveformData lead="{k}">\t\t{numbers(v)}\n</WaveformData>\n' for k, v in counts.items()
    )
    return (
        f"<{tag}><NumberOfLeads>{len(counts)}</NumberOfLeads>\n<SampleRate units='Hz'>500</SampleRate>\n"
        f"<ChannelSampleCountTotal>{size}</ChannelSampleCountTotal>\n"
        f"<Resolution units='uVperLsb'>{resolution}</Resolution>\n{extra}{leads}</{tag}>\n"
    )


def full_disclosure(lines: Sequence[npt.NDArray[np.int16]], names: Sequence[str], extra: str = "") -> str:
    """Blocks of lines, each line a second of one lead."""
    data = ",\n".join(",".join(str(x) for x in line.tolist()) for line in lines)
    total = sum(x.size for x in lines)
    return (
        f"<FullDisclosure>{extra}<NumberOfChannels>{len(names)}</NumberOfChannels>"
        "<SampleRate units='Hz'>500</SampleRate><Resolution units='uVperLsb'>5</Resolution>"
        f"<LeadOrder>{','.join(names)}</LeadOrder>\n<FullDisclosureData>\n{data},\n"
        f"<SampleCountTotal>{total}</SampleCountTotal></FullDisclosureData></FullDisclosure>\n"
    )


CARDIOSOFT_HEAD = """<ObservationType>RestECG</ObservationType>
<ObservationDateTime><Day>19</Day><Month>7</Month><Year>2018</Year></ObservationDateTime>
<ClinicalInfo><DeviceInfo><Desc>CardioSoft</Desc><SoftwareVer>V6.73</SoftwareVer></DeviceInfo></ClinicalInfo>
<PatientInfo><PID>TEST-0043</PID><Name><FamilyName>Nobody</FamilyName></Name>
<BirthDateTime><Day>20</Day><Month>7</Month><Year>1965</Year></BirthDateTime><Gender>MALE</Gender></PatientInfo>
<FilterSetting><Filter50Hz>Yes</Filter50Hz><Filter60Hz>No</Filter60Hz>
<LowPass units="Hz">100</LowPass><HighPass units="Hz">0.01</HighPass></FilterSetting>
<Interpretation>
<Diagnosis><DiagnosisText>Sinus bradycardia</DiagnosisText><DiagnosisText>---</DiagnosisText></Diagnosis>
<Conclusion><ConclusionText>Sinus bradycardia</ConclusionText><ConclusionText>Normal ECG</ConclusionText>
</Conclusion></Interpretation>
"""
CARDIOSOFT_MEASURED = """<VentricularRate units="BPM">50</VentricularRate>
<PQInterval units="ms">174</PQInterval><PDuration units="ms">106</PDuration>
<QTDispersion units="ms"></QTDispersion><RAxis units="degrees">55</RAxis><POnset units="ms">258</POnset>
"""
BEATS = """<ArrhythmiaResults><Time units="ms">800</Time><BeatClass>dominant</BeatClass>
<Time units="ms">2010</Time><BeatClass>ventricular</BeatClass></ArrhythmiaResults>
"""


def cardiosoft(
    *parts: str, median: str = "", encoding: str = "ISO-8859-1", head: str = CARDIOSOFT_HEAD
) -> bytes:
    """A whole file."""
    measured = f"<RestingECGMeasurements>{CARDIOSOFT_MEASURED}{median}</RestingECGMeasurements>\n"
    text = (
        f'<?xml version="1.0" encoding="{encoding}" ?>\n<CardiologyXML>\n{head}{measured}'
        f"{''.join(parts)}</CardiologyXML>\n"
    )
    return text.encode("latin-1")


def golden() -> dict[str, bytes]:
    """The golden files by path."""
    fine, coarse = e07500(4.88), e07500(5)
    beat = slice(1000, 1600)
    return {
        "muse/E07500_median_first.xml": muse(
            waveform("Median", "".join(lead_data(x, fine[x][beat]) for x in EIGHT)),
            waveform("Rhythm", "".join(lead_data(x, fine[x]) for x in EIGHT)),
        ),
        "cardiosoft/E07500.xml": cardiosoft(
            strip("StripData", coarse, extra=BEATS),
            median=strip("MedianSamples", {k: v[beat] for k, v in coarse.items()}),
        ),
        "cardiosoft/E07500_reversed_leads.xml": cardiosoft(
            strip("StripData", dict(reversed(coarse.items()))), encoding="ISO8859-1"
        ),
    }


if __name__ == "__main__":
    for name, data in golden().items():
        (GOLDEN / name).parent.mkdir(exist_ok=True)
        (GOLDEN / name).write_bytes(data)
