"""A handful of proteins that everybody knows, to ask shipped models about."""

from dataclasses import dataclass

__all__ = ["WELL_KNOWN", "Protein"]


@dataclass(frozen=True)
class Protein:
    """One protein.

    Attributes:
        name: as textbooks have it.
        sequence: as it is translated, with its signal peptide.
        place: where it is found, in the words of the model ``localization``; '' where it has no place of its own.
        enzyme: main EC class, '' for what is no enzyme.
    """

    name: str
    sequence: str
    place: str
    enzyme: str = ""


WELL_KNOWN = (
    Protein(
        "insulin",
        "MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSICSLYQLENYCN",
        "Extracellular",
    ),
    Protein("ubiquitin", "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG", "Cytoplasm"),
    Protein(
        "GFP",
        "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFF"
        "KDDGNYKTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHY"
        "LSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK",
        "",
    ),
    Protein(
        "lysozyme C",
        "MRSLLILVLCFLPLAALGKVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSA"
        "LLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL",
        "Extracellular",
        "3",
    ),
    Protein(
        "cytochrome c",
        "MGDVEKGKKIFIMKCSQCHTVEKGGKHKTGPNLHGLFGRKTGQAPGYSYTAANKNKGIIWGEDTLMEYLENPKKYIPGTKMIFVGIKKKEERADLIAYLKKATNE",
        "Mitochondrion",
    ),
    Protein(
        "haemoglobin beta",
        "MVHLTPEEKSAVTALWGKVNVDEVGGEALGRLLVVYPWTQRFFESFGDLSTPDAVMGNPKVKAHGKKVLGAFSDGLAHLDNLKGTFATLSELHCDKLHVD"
        "PENFRLLGNVLVCVLAHHFGKEYTPPVQAAYQKVVAGVANALAHKYH",
        "Cytoplasm",
    ),
    Protein(
        "superoxide dismutase",
        "MATKAVCVLKGDGPVQGIINFEQKESNGPVKVWGSIKGLTEGLHGFHVHEFGDNTAGCTSAGPHFNPLSRKHGGPKDEERHVGDLGNVTADKDGVADVSI"
        "EDSVISLSGDHCIIGRTLVVHEKADDLGKGGNEESTKTGNAGSRLACGVIGIAQ",
        "Cytoplasm",
        "1",
    ),
)
