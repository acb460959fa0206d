namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_kmaddress</c>: the addresses of the key managers themselves, when they move too.</summary>
public readonly record struct KmAddress(XfrmAddress Local, XfrmAddress Remote, uint Reserved, ushort Family);
