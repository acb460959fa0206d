namespace Xfrmd.Kernel;

/// <summary><c>AF_*</c> as struct fields carry it (u16).</summary>
public static class AddressFamily
{
    public const ushort Unspec = 0, Inet = 2, Inet6 = 10;
}
