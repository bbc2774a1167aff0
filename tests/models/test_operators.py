import subprocess
import sys

CODE = """
from lesionlens.models.operators import timm
library = timm()
assert library is timm()
print(library.is_model("convnext_tiny"))
"""


def test_timm_imports_beside_the_torchvision_that_is_here():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"
