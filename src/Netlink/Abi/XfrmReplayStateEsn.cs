using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_replay_state_esn</c>, uapi/linux/xfrm.h: 24 bytes, then <see cref="BmpLen"/> words of bitmap.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmReplayStateEsn
{
    /// <summary><c>XFRMA_REPLAY_ESN_MAX</c> bits, as words.</summary>
    public const int MaxWords = 4096 / 32;

    public uint BmpLen;
    public uint Oseq;
    public uint Seq;
    public uint OseqHi;
    public uint SeqHi;
    public uint ReplayWindow;
}
