from tests.launch.sweeping import bench

__all__ = ["bench"]
