using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_user_tmpl</c>, uapi/linux/xfrm.h: 64 bytes, one transform that a policy asks for (<c>struct xfrm_tmpl</c>).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct PolicyTemplate
{
    public XfrmId Id;
    public ushort Family;
    private ushort _pad0;
    public XfrmAddress Saddr;
    public uint Reqid;
    public byte ModeByte;
    public byte Share;
    public byte Optional;
    private byte _pad1;
    public uint Aalgos;
    public uint Ealgos;
    public uint Calgos;

    public readonly XfrmMode Mode => (XfrmMode)ModeByte;

    public readonly bool IsOptional => Optional != 0;

    /// <summary><c>tmpl->allalgs</c>: all three masks are all ones.</summary>
    public readonly bool AllAlgorithms => (Aalgos & Ealgos & Calgos) == uint.MaxValue;

    /// <summary>The template's own addresses name the tunnel's ends (tunnel, BEET and IP-TFS mode).</summary>
    public readonly bool HasTunnelAddresses => Mode is XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs;
}
