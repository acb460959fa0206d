using static Xfrmd.Crypto.Compression.DeflateFormat;

namespace Xfrmd.Crypto.Compression;

/// <summary>Decodes the symbols of one canonical code: short ones by one look into a table, long ones bit by bit.</summary>
internal sealed class HuffmanDecoder
{
    private const int FastBits = 9;

    // By the next bits: symbol << 4 | length; 0: a longer code or none.
    private readonly ushort[] _fast = new ushort[1 << FastBits];
    private readonly ushort[] _count = new ushort[MaxBits + 1];
    private readonly ushort[] _symbols = new ushort[FixedLiteralCodes];
    private readonly ushort[] _codes = new ushort[FixedLiteralCodes];

    /// <summary>False: more codes than fit, or fewer, except for a single one of one bit (as <c>zlib_inflate_table</c>) where allowed.</summary>
    public bool TryBuild(ReadOnlySpan<byte> lengths, bool allowSingle)
    {
        Span<ushort> count = _count;
        count.Clear();
        foreach (byte length in lengths)
        {
            count[length]++;
        }

        int left = 1, longest = 0;
        for (int bits = 1; bits <= MaxBits; bits++)
        {
            left = (left << 1) - count[bits];
            if (left < 0)
            {
                return false;
            }

            longest = count[bits] > 0 ? bits : longest;
        }

        // No code at all is accepted (literals alone need no distances); using it then fails.
        if (left > 0 && !(allowSingle && longest <= 1))
        {
            return false;
        }

        Span<int> offset = stackalloc int[MaxBits + 2];
        offset[1] = 0;
        for (int bits = 1; bits <= MaxBits; bits++)
        {
            offset[bits + 1] = offset[bits] + count[bits];
        }

        HuffmanTree.AssignCodes(lengths, _codes);
        _fast.AsSpan().Clear();
        for (int symbol = 0; symbol < lengths.Length; symbol++)
        {
            int length = lengths[symbol];
            if (length == 0)
            {
                continue;
            }

            _symbols[offset[length]++] = (ushort)symbol;
            for (int index = _codes[symbol]; length <= FastBits && index < _fast.Length; index += 1 << length)
            {
                _fast[index] = (ushort)((symbol << 4) | length);
            }
        }

        return true;
    }

    /// <summary>The next symbol, or -1: no such code, or the input ends within it.</summary>
    public int Decode(ref BitReader input)
    {
        int window = input.Peek(MaxBits);
        int entry = _fast[window & ((1 << FastBits) - 1)];
        if (entry != 0)
        {
            return input.TrySkip(entry & 15) ? entry >> 4 : -1;
        }

        // Codes of one length are consecutive numbers: find the length at which the code falls among them.
        int code = 0, first = 0, index = 0;
        for (int length = 1; length <= MaxBits; length++)
        {
            code |= window & 1;
            window >>= 1;
            int count = _count[length];
            if (code - count < first)
            {
                return input.TrySkip(length) ? _symbols[index + code - first] : -1;
            }

            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }

        return -1;
    }
}
