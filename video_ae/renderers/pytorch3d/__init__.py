"""The optional second renderer: PyTorch3D's ray marcher, cameras and volumes (docs/pytorch3d.md)."""
