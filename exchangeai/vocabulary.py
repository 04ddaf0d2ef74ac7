"""The closed vocabulary of texts that may leave ingest: words of hearts, channels and devices, not of people.

A text is kept when every word of it is here; anything else may be a name, a place or a note. Words that are
common names are left out where the field can do without them.
"""

from __future__ import annotations

STATEMENT_WORDS: frozenset[str] = frozenset(
    """
    a aberrancy aberrant aberrantly aberration ablation abnormal abnormalities abnormality about above
    abrupt absence absent accelerated accordance according acquisition activity acute additional adjacent
    adult affected afib aflt after age alm almi alternans alternating alternative amplitude an analysis and
    aneurysm angle anterior anteriorly anteroapical anteroinferior anterolateral anteroseptal antidromic
    apical are area arm arrest arrhythmia arrhythmic artefact artefacts artifact artifacts as asmi
    asymmetric asystole at atrial atrioventricular atrium atypical automatic av avb average avf avl avnb
    avnrt avr avrt axis basal baseline be beat beats because before below between beyond biatrial
    bifascicular bigeminal bigeminy bigu bilateral biphasic biventricular block blocked blocks borderline
    both bpm bradyarrhythmia bradycardia bradycardic branch broad brugada bundle burst but by calculated
    calibration cannot capture cardiac cardiomyopathy cardiopulmonary cardioversion cause caused cd chamber
    change changed changes chronic clbbb clinical clockwise coarse compared compensatory complete complex
    complexes computer concordant conducted conduction confirmed consecutive consider considered consistent
    continuous contour cor coronary correct correlation could counterclockwise couplet couplets course coved
    crbbb criteria current cut cycle data date day decreased deep defect definite degree degrees delay
    delayed delta demand depolarisation depolarization depressed depression derived despite detected
    detection deviation device dextrocardia diffuse dig digitalis dilatation disclosure discordant disease
    disorder disorders disorganized dissociation disturbance disturbances dominant double dp drop dropped
    dual due duration during dynamic dysfunction early ecg echo ectopic ectopics ectopy effect ekg
    electrical electrocardiogram electrode electrodes electrolyte electronic elevated elevation enlargement
    epicardial episode episodes epsilon equivocal escape established evaluation evidence evolving exclude
    excluded exercise exhibits extensive extrasystole extrasystoles extreme failed failure fascicle
    fascicular fast features female few fibrillation fibrillatory filter findings fine first flat flattened
    flattening flutter follow following for forces frequent from frontal functional fusion global grade
    greater group has have heart hemiblock hemodynamic high higher his history horizontal hour hours hvolt
    hyp hyperacute hypercalcemia hyperkalemia hypertrophic hypertrophy hypocalcemia hypokalemia hypothermia
    hz i iavb if ii iii ilbbb ilmi imi in inappropriate incessant incomplete increased indeterminate
    indicate indicated indicates infarct infarction infarcts inferior inferiorly inferoapical inferolateral
    inferoposterior inferoseptal injal injas injil injin injla injury insignificant insufficient
    intermediate intermittent interpolated interpretation interval intervals intraatrial intraventricular
    inversion inverted involving invt iplmi ipmi irbbb irregular irregularly irritability is isc iscal iscan
    iscas ischaemia ischaemic ischemia ischemic iscil iscin iscla isoelectric isolated isorhythmic iv ivcd j
    junctional juvenile lad ladaxis lae lafb lah lambda lao large late lateral laterally lbbb lcx lead leads
    least left length less level likely limb limits line lmca lngqt long longer low lower lown lowt lpfb lph
    lvh lvolt major male manual marked markedly max maximum may mean measured measurement measurements
    median meets mi mid midventricular mild mildly min minimal minimum minor minute misplacement missing
    mitrale mixed ml mm mobitz moderate moderately monitor monomorphic more morphology most movement ms
    multifocal multiform multiple muscle mv myocardial myocarditis myocardium myopathy narrow ndt near
    negative new no nodal node noise noisy non nonconducted nondiagnostic nonpaced nonspecific nonsustained
    norm normal normalisation normalization not notched notching noted now nst nstemi nt obvious occasional
    of old on onset opposed or origin orthodromic other otherwise out outflow output over overall overload p
    pac pace paced pacemaker pacer pacing pacs pair paired pairs parkinson paroxysmal partial pathologic
    pathological pathway pattern patterns pause pauses peak peaked per percent percentile pericarditis
    peripheral persistent persisting phase physiological placement plane plus pmi point polymorphic
    polymorphous poor poorly position positive possible possibly postectopic posterior posteriorly
    posterolateral potassium potential pr predominant predominantly preexcitation premature prematurity
    presence present presumably previous primary probable probably progression prolongation prolonged
    prominent pronounced proximal prwp pseudoinfarction pseudonormalisation psvt pulmonale pulmonary pulse
    pure pvc pvcs q qrs qrsd qrsduration qs qt qtc quadrigeminy quality questionable qwave r rabbit rad rae
    range ranges rao rapid rapidly rare rate ratio rbbb rca reading rearranged recent reciprocal recommended
    recording reduced reentrant reentry reference regression regular regularly related repeat repolarisation
    repolarization representative resolution respiratory response rest resting restored result results
    retrograde reversal reversed reversible review right rotation rr rsr rule run runs rv rvh s sa
    saddleback same sarrh sawtooth sbrad scooped score sec second secondary seconds see segment sehyp septal
    septum sequence serial several severe severely sgarbossa sharp shift short shortened should shows sick
    sign significance significant signs similar since single sinoatrial sinus site size slight slightly
    slope sloping slow slowed slowing slurred slurring small some specific split spontaneous square sr st
    stach standard standing static status std stdep ste stelev stemi strain strongly sttc subacute
    subendocardial subepicardial subject suggest suggested suggesting suggestive suggests supine suppression
    supraventricular sustained svarr svt svtac switch switched symmetric symmetrical syndrome t tab
    tachyarrhythmia tachycardia tachycardic takotsubo tall technical technically than the therapy there
    therefore these third this threshold to torsade torsades total tracing transient transition transmural
    tremor trifascicular trigeminal trigeminy trigu triphasic triplet triplets true two type typical u
    unable uncertain unchanged unclassifiable unclear undefined undetermined unifocal uniform unknown
    unlikely unspecific unstable unusual upper upright upsloping upward usual v variable variant variation
    varying vclvh vector ventricle ventricles ventricular vertical very vf view voltage voltages vt wall
    wandering was wave waveform waves weak wenckebach were when wide widened widening with within without
    wolff wpw wpwsyndrome x year years young
    """.split()  # noqa: SIM905
)
"""Words of ECG statements in English, and the codes of SCP-ECG statements as PTB-XL spells them."""

GERMAN_WORDS: frozenset[str] = frozenset(
    """
    abnormales abweichung akut akuter akutes alter altes am anteroseptaler arrhythmie auf ausgeprägte befund
    bei block bradykardie der des deutlich die ein eine einzelne ekg erregungsausbreitung
    erregungsrückbildung erregungsrückbildungsstörung erregungsrückbildungsstörungen extrasystole
    extrasystolen faszikulärer grad grades grenzwertig grenzwertiges hinterwandinfarkt hinweis hypertrophie
    hypertrophiezeichen im indifferenztyp infarkt inkompletter intraventrikuläre ischämie kammer kein keine
    knotung kompletter lage lagetyp leichte leitung linker links linksanteriorer linksherzhypertrophie
    linkshypertrophie linksschenkelblock linkstyp myokard myokardinfarkt myokardischämie möglich möglicher
    möglicherweise nicht niedervoltage normal normale normales oder ohne pathologische pathologischer
    periphere rechts rechtsschenkelblock rechtstyp rhythmus rückbildungsstörungen schenkelblock
    schrittmacher septaler sinusarrhythmie sinusbradykardie sinusrhythmus sinustachykardie spitzenumkehr
    steiltyp störung supraventrikuläre tachykardie typ unauffälliges uncharakteristischer und unspezifisch
    unspezifische ventrikuläre ventrikulärer verdacht verlängert verlängerte verzögerte vorderwandinfarkt
    vorhof vorhofflattern vorhofflimmern wahrscheinlich zeichen zusammenhang überdrehter
    """.split()  # noqa: SIM905
)

EVENT_WORDS: frozenset[str] = frozenset(
    """
    alarm ambiguous amplitude annotation annotations apnea apnoea arousal arousals artefact artifact atrial
    beat beats begin bike blink block body bp branch break breath breathing bundle button calibration
    central check chest clip close closed con config connected contour data desaturation detections
    disconnect disconnected dizziness ecg ectopic edf electrode end escape event exercise eye eyes fail fall
    fiducial fusion gap grade heart high hr hv hyperventilation hypopnea hypopnoea impedance interval
    junctional jwave lead left leg light lights limb limit loss lost low marker mdc medication minute
    missing mixed movement n1 n2 n3 n4 nibp nodal noise noisy normal note nrem obstructive off offset on
    onset open opened out p paced pain palpitation palpitations patient pause pd peak phase photic position
    pp pr premature pressed prone pulse push pvc pwave qrs qrswave qt qtc r rate recorded recording recovery
    rem resp response rest resting rhy rhythm right rr running saturation seg segment seizure sharp
    shortness signal sitting sleep slow snore snoring speed spike spikes spo2 stage standing start
    stimulation stimulus stop stopped stress supine sv symptom symptoms sync syncope t test time timing
    treadmill trigger twave u unclassified unknown unscored unsure up uwave ventricular w wake walking warm
    wav wavc waves wavp xlevent xlspike
    """.split()  # noqa: SIM905
)
"""Words of marks in time: sleep stages, stress tests, monitors, codes of ISO 11073-10101 by their parts."""

MIT_RHYTHMS: frozenset[str] = frozenset(
    """
    AB AFIB AFL ASYS AT AVB1 AVB2 AVB3 B B3 BI BII BLOCK CHB HGEA IVR MISSB N NOD NOISE NSR P PM PREX PSE
    PSVT SAB SAR SBR ST SVT SVTA T TS VER VF VFL VT VTS
    """.split()  # noqa: SIM905
)
"""Rhythms as annotators of PhysioNet write them, after the parenthesis."""

CHANNEL_WORDS: frozenset[str] = frozenset(
    """
    a abdo abdomen abdominal abp acc accel accelerometer accx accy accz af ai airflow analog analogue
    annotation annotations arm art as aux avf avl avr awp b battery bdf beat belt blood body c cannula cc ch
    chan channel chest chin cm co cof cp cpz cs cvp cz d dc dia diastolic digital direct e ecg edf eeg
    effort ekg emg eog es etco event f fc fcz fetal fhr flow fp fpz frank ft fz g gyro heart holter
    horizontal hr hz i ibp icp ieog ii iii imco imp impedance input j k l la lap ld lead leads left leg
    light ll loc loca lower lu m marker maternal mcl mean median mhr mic microphone ml mli mlii mliii mlv
    mother mv n nasa nasal nibp noise o oral oro ox oz p pap pcwp pleth po position poz ppg pr pressure
    pulse pz q qrs qt r ra rap rate rd rectal ref resp respiration respiratory rhythm right rl roc rocd rr
    rs ru s sao scalp sig signal snore snoring sound spo st status submental sum sys systolic t temp
    temperature thermistor thor thoracic thorax tibialis time timer toco tocogram tp trigger uac uap uc
    upper v vertical vx vy vz w wave x y z
    """.split()  # noqa: SIM905
)
"""Words of channel names: surface ECG, polysomnography, bedside monitors; positions of the 10-20 system."""

UNITS: frozenset[str] = frozenset(
    """
    mV V uV µV μV nV mmHg cmH2O kPa Pa hPa bpm BPM bmp /min 1/min Hz kHz s ms us min % pct L l mL ml l/min
    L/min mL/s L/s lpm degC DegC C °C K degF deg rad g m/s2 m/s^2 m/s² G Ohm ohm kOhm Ohms A mA uA NU nu NA
    n/a adu ADU a.u. au AU counts count raw - mg dB lux T uT mm cm m kg W mmHG mmhg Volts units unit index
    """.split()  # noqa: SIM905
)
"""Units as files write them."""

DEVICE_WORDS: frozenset[str] = frozenset(
    """
    12sl a1 active activetwo ag agilent alice alivecor allyn amedtec apple ar argus at atria beneheart
    biocare bionet bionetwork biosemi bittium bplus brainproducts brainvision btl burdick cardimax
    cardiocare cardiofax cardiograph cardiolab cardioline cardiomem cardionavigator cardioperfect
    cardiopoint cardiosoft cardiotouch cardiovit carescape cart case comen company compumedics contec
    control corp corporation corpuls cp cs custo customed dash datex del delta denshi digital ecg ecgpro
    eclipse edan efficia electrocardiograph eli elite embla emotion esaote faros fitbit fred fukuda g galaxy
    ge gemedical getemed gmbh grael h10 hd healthcare heart heartstart heartstartmrx hewlett hill-rom
    hillrom holter hp hscribe i iecg ii iii imaging inc instruments intellivue irhythm iris iv kardia
    kardiamobile kenz kohden lifecard lifepak lr ltd lx m1700a m1770a mac macs mar marquette med medical
    medilog medtronic micromed mindray model monebo monitor mortara movesense mrx ms muse natus nicolet
    nihon norav nox oem ohmeda p80 packard pagewriter patient pc-ecg pdx philips physio physionet plus polar
    pro rate recorder release rest resting rev reynolds rscribe samsung scanwatch schiller se seer sem
    series siesta software solar somnomedics somnoscreen spacelabs st80i station stress stryker surveyor
    suzuken system systems t3 tc technologies tempus test tnh tnmg touch touchscreen treadmill trim two unit
    v version view vitalconnect vivid wam watch welch welchallyn wfdb withings workstation x x12 xl xli
    xltek xscribe zio zoll zymed
    """.split()  # noqa: SIM905
)
"""Makers and models of recorders."""
