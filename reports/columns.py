"""The tables' columns: which metrics, under which heading, in which direction, and what print calls them."""

from __future__ import annotations

from reports.grid import Column

PSNR = Column("psnr", "psnr", "PSNR", "Visual quality", "up", 3)
SSIM = Column("ssim", "ssim", "SSIM", "Visual quality", "up", 3)
LPIPS = Column("lpips_alex", "lpips_alex", "LPIPS", "Visual quality", "down", 3)
LMD = Column("lmd", "lmd_dlib", "LMD", "Lip synchronisation", "down", 3, printed="lmd")
SYNC_C = Column("sync_c", "sync_c", "Sync-C", "Lip synchronisation", "up", 3)
SYNC_D = Column("sync_d", "sync_d", "Sync-D", "Lip synchronisation", "down", 3)
TIME = Column("train_time", "train_time", "Training time", "Efficiency", "down", 0, "s")
FPS = Column("fps", "fps", "FPS", "Efficiency", "up", 1)

QUALITY = (PSNR, SSIM, LPIPS, LMD, SYNC_C, SYNC_D)
SELF_DRIVEN = (*QUALITY, TIME, FPS)
EFFICIENCY = {"train_time", "fps"}
