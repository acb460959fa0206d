using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_stats</c>: 12 bytes, the errors that one SA met.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmStats
{
    public uint ReplayWindow;
    public uint Replay;
    public uint IntegrityFailed;
}
