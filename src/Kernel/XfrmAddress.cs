using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary>
/// <c>xfrm_address_t</c>: 16 bytes, an IPv6 address or an IPv4 address in the first four. Bytes are network order; the rest of an IPv4
/// address is whatever the client sent and is kept, since policies are told apart by all bytes of a selector.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly struct XfrmAddress : IEquatable<XfrmAddress>
{
    private readonly ulong _low;   // bytes 0..7 as they lie in memory
    private readonly ulong _high;  // bytes 8..15

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public XfrmAddress(ReadOnlySpan<byte> bytes) => this = bytes.Length switch
    {
        // What packets have needs no copy.
        sizeof(uint) => new XfrmAddress(MemoryMarshal.Read<uint>(bytes), 0),
        2 * sizeof(ulong) => new XfrmAddress(MemoryMarshal.Read<ulong>(bytes), MemoryMarshal.Read<ulong>(bytes[sizeof(ulong)..])),
        _ => Padded(bytes),
    };

    private XfrmAddress(ulong low, ulong high) => (_low, _high) = (low, high);

    private static XfrmAddress Padded(ReadOnlySpan<byte> bytes)
    {
        Span<byte> all = stackalloc byte[16];
        all.Clear();
        bytes[..Math.Min(bytes.Length, 16)].CopyTo(all);
        return new XfrmAddress(MemoryMarshal.Read<ulong>(all), MemoryMarshal.Read<ulong>(all[8..]));
    }

    /// <summary>The 16 bytes in network order. The span lives as long as the variable that it was taken from.</summary>
    [UnscopedRef]
    public ReadOnlySpan<byte> Bytes => MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(in this, 1));

    /// <summary>The first four bytes as they lie in memory: the whole of an IPv4 address.</summary>
    public uint Raw4 => (uint)_low;

    /// <summary><c>xfrm_addr_any</c>: the unspecified address of the family.</summary>
    public bool IsAny(ushort family) => family switch
    {
        AddressFamily.Inet => (uint)_low == 0,
        AddressFamily.Inet6 => (_low | _high) == 0,
        _ => false,
    };

    /// <summary><c>xfrm_addr_equal</c>: only IPv6 addresses are compared by more than their first four bytes.</summary>
    public bool Equals(in XfrmAddress other, ushort family) =>
        family == AddressFamily.Inet6 ? _low == other._low && _high == other._high : (uint)_low == (uint)other._low;

    public bool Equals(XfrmAddress other) => _low == other._low && _high == other._high;
    public override bool Equals(object? obj) => obj is XfrmAddress other && Equals(other);
    public override int GetHashCode()
    {
        // A multiplicative mix: the keys are spread well enough and the packet path computes it per lookup.
        ulong mixed = (_low * 0x9E3779B97F4A7C15UL) ^ ((_high + 0x7F4A7C15) * 0xC2B2AE3D27D4EB4FUL);
        return (int)(mixed ^ (mixed >> 32));
    }
    public int GetHashCode(ushort family) => family == AddressFamily.Inet ? ((uint)_low).GetHashCode() : GetHashCode();
    public static bool operator ==(XfrmAddress a, XfrmAddress b) => a.Equals(b);
    public static bool operator !=(XfrmAddress a, XfrmAddress b) => !a.Equals(b);

    /// <summary>Only the bytes that the family has: what a lookup key is made of.</summary>
    public XfrmAddress Normalized(ushort family) => family == AddressFamily.Inet6 ? this : new XfrmAddress((uint)_low, 0);

    /// <summary><c>addr_match</c> / <c>addr4_match</c>: the first <paramref name="prefix"/> bits are equal.</summary>
    public bool MatchesPrefix(in XfrmAddress other, int prefix, ushort family)
    {
        if (family == AddressFamily.Inet)
        {
            uint difference = BinaryOrder((uint)_low ^ (uint)other._low);
            return prefix <= 0 || (prefix >= 32 ? difference == 0 : difference >> (32 - prefix) == 0);
        }
        return MatchesBits(other, prefix);
    }

    /// <summary><c>addr_match</c> over all 128 bits whatever the family (dump filters).</summary>
    public bool MatchesBits(in XfrmAddress other, int prefix)
    {
        ulong first = BinaryOrder(_low ^ other._low), second = BinaryOrder(_high ^ other._high);
        return prefix switch
        {
            <= 0 => true,
            < 64 => first >> (64 - prefix) == 0,
            64 => first == 0,
            < 128 => first == 0 && second >> (128 - prefix) == 0,
            _ => first == 0 && second == 0,
        };
    }

    /// <summary>The address with all but its first <paramref name="prefix"/> bits cleared, and nothing that the family does not have.</summary>
    public XfrmAddress Masked(int prefix, ushort family)
    {
        if (family == AddressFamily.Inet)
        {
            uint mask = prefix <= 0 ? 0 : prefix >= 32 ? uint.MaxValue : ~(uint.MaxValue >> prefix);
            return new XfrmAddress((uint)_low & BinaryOrder(mask), 0);
        }
        ulong low = prefix <= 0 ? 0 : prefix >= 64 ? ulong.MaxValue : ~(ulong.MaxValue >> prefix);
        ulong high = prefix <= 64 ? 0 : prefix >= 128 ? ulong.MaxValue : ~(ulong.MaxValue >> (prefix - 64));
        return new XfrmAddress(_low & BinaryOrder(low), _high & BinaryOrder(high));
    }

    private static uint BinaryOrder(uint raw) => BitConverter.IsLittleEndian ? System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(raw) : raw;
    private static ulong BinaryOrder(ulong raw) => BitConverter.IsLittleEndian ? System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(raw) : raw;

    public static XfrmAddress From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        return address.TryWriteBytes(bytes, out int written) ? new XfrmAddress(bytes[..written]) : default;
    }

    public static XfrmAddress Parse(string text) => From(IPAddress.Parse(text));

    public IPAddress ToIPAddress(ushort family) => new(Bytes[..(family == AddressFamily.Inet ? 4 : 16)]);
    public string ToString(ushort family) => ToIPAddress(family).ToString();
    public override string ToString() => _high == 0 && _low >> 32 == 0 ? ToString(AddressFamily.Inet) : ToString(AddressFamily.Inet6);
}
