using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_encap_tmpl</c>: 24 bytes. <see cref="EspInUdp"/> is the one type that Linux 6.12 accepts here.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmEncapTmpl
{
    public const ushort EspInUdp = 2, EspInTcp = 7;

    public ushort EncapType;
    public Be16 EncapSport;
    public Be16 EncapDport;
    private ushort _pad;
    public XfrmAddress EncapOa;
}
