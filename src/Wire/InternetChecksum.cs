using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Xfrmd.Wire;

/// <summary>
/// The Internet checksum (RFC 1071) in the machine's own byte order, which the one's complement sum does not mind: sums are kept as they
/// lie in memory and <see cref="Write"/> stores them so.
/// </summary>
public static class InternetChecksum
{
    private const int MaxBytes = 1 << 16;

    /// <summary>Adds bytes to a sum. All parts but the last must have an even length.</summary>
    public static ulong Sum(ReadOnlySpan<byte> bytes, ulong sum = 0)
    {
        if (bytes.Length >= 4 * Vector128<byte>.Count)
        {
            sum = Add(sum, SumVectors(ref bytes));
        }
        while (bytes.Length >= sizeof(ulong))
        {
            sum = Add(sum, MemoryMarshal.Read<ulong>(bytes));
            bytes = bytes[sizeof(ulong)..];
        }
        if (bytes.Length >= sizeof(uint))
        {
            sum = Add(sum, MemoryMarshal.Read<uint>(bytes));
            bytes = bytes[sizeof(uint)..];
        }
        if (bytes.Length >= sizeof(ushort))
        {
            sum = Add(sum, MemoryMarshal.Read<ushort>(bytes));
            bytes = bytes[sizeof(ushort)..];
        }
        if (!bytes.IsEmpty)
        {
            // The odd byte is the first of a pair whose second is 0.
            sum = Add(sum, BitConverter.IsLittleEndian ? bytes[0] : (uint)bytes[0] << 8);
        }
        return sum;
    }

    /// <summary>The checksum to be stored for a sum: folded and complemented, as it lies in memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Finish(ulong sum)
    {
        sum = (sum & uint.MaxValue) + (sum >> 32);
        sum = (sum & uint.MaxValue) + (sum >> 32);
        uint folded = (uint)(sum & ushort.MaxValue) + (uint)(sum >> 16);
        folded = (folded & ushort.MaxValue) + (folded >> 16);
        return (ushort)~((folded & ushort.MaxValue) + (folded >> 16));
    }

    /// <summary>Stores what <see cref="Finish"/> gave.</summary>
    public static void Write(Span<byte> field, ushort checksum) => MemoryMarshal.Write(field, checksum);

    /// <summary>The bytes with their checksum sum up to nothing.</summary>
    public static bool Verifies(ReadOnlySpan<byte> bytes, ulong pseudoHeader = 0) => Finish(Sum(bytes, pseudoHeader)) == 0;

    /// <summary>RFC 1624 equation 3: the checksum after a 16-bit word of what it covers changed. All three as they lie in memory.</summary>
    public static ushort Update(ushort checksum, ushort oldWord, ushort newWord) =>
        Finish((ulong)(ushort)~checksum + (ushort)~oldWord + newWord);

    /// <summary>The sum of the pseudo header of RFC 768 (addresses of 4 bytes) and RFC 8200 section 8.1 (16 bytes).</summary>
    /// <param name="saddr">Source.</param>
    /// <param name="daddr">Destination; with an IPv6 routing header the final one.</param>
    /// <param name="protocol">Upper-layer protocol.</param>
    /// <param name="length">Bytes of the upper layer.</param>
    public static ulong PseudoHeader(ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr, byte protocol, int length)
    {
        ulong sum = Sum(daddr, Sum(saddr));
        uint tail = (uint)length + protocol;
        return Add(sum, BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(tail) : tail);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Add(ulong sum, ulong value)
    {
        sum += value;
        return sum + (sum < value ? 1ul : 0ul);
    }

    /// <summary>
    /// Whole vectors of 16-bit words, widened to 32 bits: cannot overflow within the 64 KiB of a packet. Of the width that every processor has:
    /// ahead of time nothing wider is compiled in.
    /// </summary>
    private static ulong SumVectors(ref ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<Vector128<ushort>> vectors = MemoryMarshal.Cast<byte, Vector128<ushort>>(bytes[..Math.Min(bytes.Length, MaxBytes)]);
        Vector128<uint> low = Vector128<uint>.Zero, high = Vector128<uint>.Zero;
        foreach (Vector128<ushort> vector in vectors)
        {
            (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(vector);
            low += first;
            high += second;
        }
        bytes = bytes[(vectors.Length * Vector128<byte>.Count)..];
        (Vector128<ulong> a, Vector128<ulong> b) = Vector128.Widen(low);
        (Vector128<ulong> c, Vector128<ulong> d) = Vector128.Widen(high);
        return Vector128.Sum(a + b + c + d);
    }
}
