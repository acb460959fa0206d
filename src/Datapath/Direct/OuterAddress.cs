using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Direct;

/// <summary>An address of outer headers.</summary>
public readonly record struct OuterAddress(XfrmAddress Address, ushort Family)
{
    public byte[] Bytes() => Address.Bytes[..(Family == AddressFamily.Inet ? 4 : 16)].ToArray();
}
