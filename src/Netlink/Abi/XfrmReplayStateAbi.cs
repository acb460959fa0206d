using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_replay_state</c>, uapi/linux/xfrm.h: 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmReplayStateAbi
{
    public uint Oseq;
    public uint Seq;
    public uint Bitmap;
}
