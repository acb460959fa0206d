using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Xfrmd.Wire;

/// <summary>
/// The Internet checksum (RFC 1071) in the machine's own byte order, which the one's complement sum does not mind: sums are kept as they
/// lie in memory and <see cref="Write"/> stores them so.
/// </summary>
public static class InternetChecksum
{
    private const int MaxBytes = 1 << 16, Step = 64;

    /// <summary>Adds bytes to a sum. All parts but the last must have an even length.</summary>
    public static ulong Sum(ReadOnlySpan<byte> bytes, ulong sum = 0)
    {
        if (bytes.Length >= Step)
        {
            sum = Add(sum, SumVectors(ref bytes));
        }
        // Halves of 32 bits, whose sum cannot overflow: no carry has to be waited for.
        ulong halves = 0;
        ref byte next = ref MemoryMarshal.GetReference(bytes);
        int length = bytes.Length;
        for (; length >= sizeof(ulong); length -= sizeof(ulong))
        {
            ulong eight = Unsafe.ReadUnaligned<ulong>(ref next);
            halves += (uint)eight + (eight >> 32);
            next = ref Unsafe.Add(ref next, sizeof(ulong));
        }
        if (length >= sizeof(uint))
        {
            halves += Unsafe.ReadUnaligned<uint>(ref next);
            next = ref Unsafe.Add(ref next, sizeof(uint));
            length -= sizeof(uint);
        }
        if (length >= sizeof(ushort))
        {
            halves += Unsafe.ReadUnaligned<ushort>(ref next);
            next = ref Unsafe.Add(ref next, sizeof(ushort));
            length -= sizeof(ushort);
        }
        if (length > 0)
        {
            // The odd byte is the first of a pair whose second is 0.
            halves += BitConverter.IsLittleEndian ? next : (uint)next << 8;
        }
        return Add(sum, halves);
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

    /// <summary>Copies bytes and adds them to a sum, in one pass. As with <see cref="Sum"/>, all parts but the last have an even length.</summary>
    public static ulong Copy(ReadOnlySpan<byte> source, Span<byte> destination, ulong sum = 0)
    {
        int whole = source.Length & -Step;
        if (!Sse2.IsSupported || whole is 0 or > MaxBytes)
        {
            source.CopyTo(destination);
            return Sum(source, sum);
        }
        destination = destination[..source.Length];
        ref byte from = ref MemoryMarshal.GetReference(source), to = ref MemoryMarshal.GetReference(destination);
        Vector128<int> even = Vector128<int>.Zero, odd = Vector128<int>.Zero;
        for (nuint i = 0; i < (nuint)whole; i += Step)
        {
            Vector128<byte> a = Vector128.LoadUnsafe(ref from, i), b = Vector128.LoadUnsafe(ref from, i + 16);
            Vector128<byte> c = Vector128.LoadUnsafe(ref from, i + 32), d = Vector128.LoadUnsafe(ref from, i + 48);
            a.StoreUnsafe(ref to, i);
            b.StoreUnsafe(ref to, i + 16);
            c.StoreUnsafe(ref to, i + 32);
            d.StoreUnsafe(ref to, i + 48);
            even += SumPairs(a) + SumPairs(b);
            odd += SumPairs(c) + SumPairs(d);
        }
        source[whole..].CopyTo(destination[whole..]);
        return Sum(source[whole..], Add(sum, Total(even, odd, whole)));
    }

    /// <summary>
    /// Whole vectors of 16-bit words, widened to 32 bits: cannot overflow within the 64 KiB of a packet. Of the width that every processor has:
    /// ahead of time nothing wider is compiled in.
    /// </summary>
    private static ulong SumVectors(ref ReadOnlySpan<byte> bytes)
    {
        int whole = Math.Min(bytes.Length, MaxBytes) & -Step;
        if (Sse2.IsSupported)
        {
            ref byte from = ref MemoryMarshal.GetReference(bytes);
            Vector128<int> even = Vector128<int>.Zero, odd = Vector128<int>.Zero;
            for (nuint i = 0; i < (nuint)whole; i += Step)
            {
                even += SumPairs(Vector128.LoadUnsafe(ref from, i)) + SumPairs(Vector128.LoadUnsafe(ref from, i + 16));
                odd += SumPairs(Vector128.LoadUnsafe(ref from, i + 32)) + SumPairs(Vector128.LoadUnsafe(ref from, i + 48));
            }
            bytes = bytes[whole..];
            return Total(even, odd, whole);
        }
        ReadOnlySpan<Vector128<ushort>> vectors = MemoryMarshal.Cast<byte, Vector128<ushort>>(bytes[..whole]);
        bytes = bytes[whole..];
        Vector128<uint> low = Vector128<uint>.Zero, high = Vector128<uint>.Zero;
        foreach (Vector128<ushort> vector in vectors)
        {
            (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(vector);
            low += first;
            high += second;
        }
        (Vector128<ulong> a, Vector128<ulong> b) = Vector128.Widen(low);
        (Vector128<ulong> c, Vector128<ulong> d) = Vector128.Widen(high);
        return Vector128.Sum(a + b + c + d);
    }

    /// <summary>Adds neighbours in one instruction, which takes them for signed: so each word is 32768 less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> SumPairs(Vector128<byte> bytes) =>
        Sse2.MultiplyAddAdjacent(bytes.AsInt16() ^ Vector128.Create(short.MinValue), Vector128<short>.One);

    private static ulong Total(Vector128<int> even, Vector128<int> odd, int bytes)
    {
        (Vector128<long> a, Vector128<long> b) = Vector128.Widen(even);
        (Vector128<long> c, Vector128<long> d) = Vector128.Widen(odd);
        return (ulong)(Vector128.Sum(a + b + c + d) + ((long)bytes / sizeof(ushort) * -short.MinValue));
    }
}
