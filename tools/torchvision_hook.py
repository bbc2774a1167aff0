"""Let `import torchvision` and `import timm` work in a virtual environment whose torchvision does not fit its torch.

    python tools/torchvision_hook.py

installs this file into the site-packages of that Python, with a `.pth` file that loads it at start. It imports
nothing by itself: when torchvision is imported, `lesionlens.models.operators` first declares the operators that the
import needs. `make` runs it; delete `torchvision_hook.pth` from site-packages to undo it.
"""

import sys


class TorchvisionFinder:
    """Finds torchvision as usual, and has its operators declared before it is executed."""

    def find_spec(self, name, path=None, target=None):
        """The usual spec of torchvision, with a loader that declares first; every other import is left to other finders."""
        if name != "torchvision":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _declaring_first(spec.loader.exec_module)
        return spec


def _declaring_first(exec_module):
    def declare_and_exec(module):
        try:
            from lesionlens.models.operators import declare_operators
        except ImportError:  # LesionLens or torch was uninstalled: torchvision's own error says more
            pass
        else:
            declare_operators()
        exec_module(module)

    return declare_and_exec


def install() -> str:
    """Copy this file into site-packages, where it is loaded at start, and give its path there."""
    import shutil
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_path("purelib"))
    shutil.copyfile(__file__, folder / "torchvision_hook.py")
    (folder / "torchvision_hook.pth").write_text("import torchvision_hook\n")
    return str(folder / "torchvision_hook.py")


if __name__ == "__main__":
    print(install())
else:
    sys.meta_path.insert(0, TorchvisionFinder())
