using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_usersa_info</c>, uapi/linux/xfrm.h: 224 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserSaInfo
{
    public XfrmSelector Sel;
    public XfrmId Id;
    public XfrmAddress Saddr;
    public XfrmLifetimeCfg Lft;
    public XfrmLifetimeCur Curlft;
    public XfrmStats Stats;
    public uint Seq;
    public uint Reqid;
    public ushort Family;
    public byte Mode;
    public byte ReplayWindow;
    public byte Flags;
    private byte _pad0;
    private ushort _pad1;
    private uint _pad2;
}
