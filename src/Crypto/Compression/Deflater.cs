using static Xfrmd.Crypto.Compression.DeflateFormat;

namespace Xfrmd.Crypto.Compression;

/// <summary>
/// Deflate with lazy matching at zlib's default level: the decisions of deflate_slow and longest_match (lib/zlib_deflate/deflate.c)
/// and of zlib_tr_flush_block (deftree.c), over the packet itself instead of a sliding copy of it.
/// </summary>
internal sealed class Deflater
{
    // configuration_table, level 6.
    private const int GoodLength = 8, MaxLazy = 16, NiceLength = 128, MaxChain = 128;

    // crypto/deflate.c: DEFLATE_DEF_WINBITS 11; memory level 8.
    private const int WindowSize = 1 << 11, WindowMask = WindowSize - 1, HashBits = 15, HashShift = 5, BlockSymbols = 16383;
    private const int MinLookahead = MaxMatch + MinMatch + 1, MaxDistance = WindowSize - MinLookahead;
    private const int MaxSource = 65536;

    private static readonly byte[] FixedLengths = MakeFixedLengths();
    private static readonly byte[] FixedDistanceLengths = MakeFixedDistanceLengths();
    private static readonly ushort[] FixedCodes = MakeCodes(FixedLengths);
    private static readonly ushort[] FixedDistanceCodes = MakeCodes(FixedDistanceLengths);
    private static readonly byte[] LengthSymbols = MakeLengthSymbols();

    private readonly HuffmanTree _literals = new(LiteralCodes, MaxBits, LengthExtra, FirstLengthCode, FixedLengths);
    private readonly HuffmanTree _distances = new(DistanceCodes, MaxBits, DistanceExtra, 0, FixedDistanceLengths);
    private readonly HuffmanTree _codeLengths = new(CodeLengthCodes, MaxCodeLengthBits, CodeLengthExtra, 0, null);
    private readonly int[] _head = new int[1 << HashBits];
    private readonly int[] _previous = new int[WindowSize];

    // The block so far: distance (0: a literal) and literal or length.
    private readonly ushort[] _symbolDistance = new ushort[BlockSymbols];
    private readonly ushort[] _symbolValue = new ushort[BlockSymbols];
    private int _symbolCount, _blockStart;

    // zlib holds two windows of input at a time: where its copy begins, and where it ends.
    private int _windowStart, _windowEnd;
    private int _matchStart;

    public bool TryCompress(ReadOnlySpan<byte> source, Span<byte> destination, out int written)
    {
        written = 0;
        if (source.Length > MaxSource)
        {
            return false;
        }

        _head.AsSpan().Clear();
        _blockStart = _windowStart = _windowEnd = 0;
        BeginBlock();
        var output = new BitWriter(destination);
        Walk(source, ref output);
        written = output.Written;
        return !output.Overflowed;
    }

    /// <summary>As <c>deflate_slow</c>: a match is only taken if the next position has none that is longer.</summary>
    private void Walk(ReadOnlySpan<byte> source, ref BitWriter output)
    {
        int at = 0, matchLength = MinMatch - 1;
        bool literalWaits = false;
        while (at < source.Length && !output.Overflowed)
        {
            FillWindow(at, source.Length);
            int candidate = source.Length - at >= MinMatch ? Insert(source, at) : 0;
            int previousLength = matchLength, previousMatch = _matchStart;
            matchLength = MinMatch - 1;
            if (candidate > _windowStart && previousLength < MaxLazy && at - candidate <= MaxDistance)
            {
                matchLength = LongestMatch(source, at, candidate, previousLength);
            }

            if (previousLength >= MinMatch && matchLength <= previousLength)
            {
                bool full = Tally(at - 1 - previousMatch, previousLength);
                int end = at - 1 + previousLength;
                for (at++; at < end; at++)
                {
                    if (source.Length - at >= MinMatch)
                    {
                        Insert(source, at);
                    }
                }

                literalWaits = false;
                matchLength = MinMatch - 1;
                if (full)
                {
                    EndBlock(source, at, last: false, ref output);
                }
            }
            else
            {
                if (literalWaits && Tally(0, source[at - 1]))
                {
                    EndBlock(source, at, last: false, ref output);
                }

                literalWaits = true;
                at++;
            }
        }

        if (literalWaits)
        {
            Tally(0, source[at - 1]);
        }

        EndBlock(source, source.Length, last: true, ref output);
    }

    /// <summary>As <c>fill_window</c>, which decides how far back a match may begin.</summary>
    private void FillWindow(int at, int length)
    {
        if (_windowEnd - at < MinLookahead)
        {
            if (at - _windowStart >= WindowSize + MaxDistance)
            {
                _windowStart += WindowSize;
            }

            _windowEnd = Math.Min(length, _windowStart + (2 * WindowSize));
        }
    }

    /// <summary>Enters three bytes into the hash table; gives the last position with the same hash (0: none, so position 0 is never matched).</summary>
    private int Insert(ReadOnlySpan<byte> source, int at)
    {
        int hash = ((source[at] << (2 * HashShift)) ^ (source[at + 1] << HashShift) ^ source[at + 2]) & ((1 << HashBits) - 1);
        int last = _head[hash];
        _previous[at & WindowMask] = last;
        _head[hash] = at;
        return last;
    }

    private int LongestMatch(ReadOnlySpan<byte> source, int at, int candidate, int best)
    {
        int lookahead = source.Length - at;
        if (best >= lookahead)
        {
            return lookahead;
        }

        ReadOnlySpan<byte> scan = source.Slice(at, Math.Min(lookahead, MaxMatch));
        int chain = best >= GoodLength ? MaxChain >> 2 : MaxChain;
        int nice = Math.Min(NiceLength, lookahead);
        int limit = Math.Max(at - MaxDistance, _windowStart);
        do
        {
            if (source[candidate + best] == scan[best] && source[candidate + best - 1] == scan[best - 1])
            {
                int length = scan.CommonPrefixLength(source.Slice(candidate, scan.Length));
                if (length > best)
                {
                    _matchStart = candidate;
                    best = length;
                    if (length >= nice)
                    {
                        break;
                    }
                }
            }

            candidate = _previous[candidate & WindowMask];
        }
        while (candidate > limit && --chain != 0);

        return best;
    }

    private void BeginBlock()
    {
        _literals.Clear();
        _distances.Clear();
        _codeLengths.Clear();
        _literals.Count(EndOfBlock);
        _symbolCount = 0;
    }

    /// <summary>Adds a literal (distance 0) or a match to the block; true when it is full.</summary>
    private bool Tally(int distance, int value)
    {
        _symbolDistance[_symbolCount] = (ushort)distance;
        _symbolValue[_symbolCount++] = (ushort)value;
        if (distance == 0)
        {
            _literals.Count(value);
        }
        else
        {
            _literals.Count(FirstLengthCode + LengthSymbols[value - MinMatch]);
            _distances.Count(DistanceSymbol(distance));
        }

        return _symbolCount == BlockSymbols;
    }

    /// <summary>As <c>zlib_tr_flush_block</c>: whichever of dynamic, fixed and stored is shortest.</summary>
    private void EndBlock(ReadOnlySpan<byte> source, int end, bool last, ref BitWriter output)
    {
        _literals.Build();
        _distances.Build();
        CountCodeLengths(_literals);
        CountCodeLengths(_distances);
        _codeLengths.Build();
        int sent = CodeLengthCodes;
        while (sent > 4 && _codeLengths.Lengths[CodeLengthOrder[sent - 1]] == 0)
        {
            sent--;
        }

        int dynamicBytes = (_literals.CodedBits + _distances.CodedBits + _codeLengths.CodedBits + (3 * sent) + 5 + 5 + 4 + 3 + 7) >> 3;
        int fixedBytes = (_literals.FixedBits + _distances.FixedBits + 3 + 7) >> 3;
        int final = last ? 1 : 0;

        // zlib can store only what its window still holds.
        if (end - _blockStart + 4 <= Math.Min(dynamicBytes, fixedBytes) && _blockStart >= _windowStart)
        {
            WriteStored(source[_blockStart..end], final, ref output);
        }
        else if (fixedBytes <= dynamicBytes)
        {
            output.Write((Fixed << 1) + final, 3);
            WriteSymbols(FixedCodes, FixedLengths, FixedDistanceCodes, FixedDistanceLengths, ref output);
        }
        else
        {
            output.Write((Dynamic << 1) + final, 3);
            WriteTrees(sent, ref output);
            WriteSymbols(_literals.Codes, _literals.Lengths, _distances.Codes, _distances.Lengths, ref output);
        }

        if (last)
        {
            output.Align();
        }

        BeginBlock();
        _blockStart = end;
    }

    private static void WriteStored(ReadOnlySpan<byte> bytes, int final, ref BitWriter output)
    {
        output.Write((Stored << 1) + final, 3);
        output.Align();
        output.Write(bytes.Length, 16);
        output.Write(~bytes.Length & 0xffff, 16);
        output.Write(bytes);
    }

    private void WriteSymbols(
        ReadOnlySpan<ushort> codes, ReadOnlySpan<byte> lengths, ReadOnlySpan<ushort> distanceCodes, ReadOnlySpan<byte> distanceLengths, ref BitWriter output)
    {
        for (int i = 0; i < _symbolCount && !output.Overflowed; i++)
        {
            int distance = _symbolDistance[i], value = _symbolValue[i];
            if (distance == 0)
            {
                output.Write(codes[value], lengths[value]);
                continue;
            }

            int symbol = LengthSymbols[value - MinMatch];
            output.Write(codes[FirstLengthCode + symbol], lengths[FirstLengthCode + symbol]);
            output.Write(value - LengthBase[symbol], LengthExtra[symbol]);
            symbol = DistanceSymbol(distance);
            output.Write(distanceCodes[symbol], distanceLengths[symbol]);
            output.Write(distance - DistanceBase[symbol], DistanceExtra[symbol]);
        }

        output.Write(codes[EndOfBlock], lengths[EndOfBlock]);
    }

    private void WriteTrees(int sent, ref BitWriter output)
    {
        output.Write(_literals.MaxSymbol + 1 - 257, 5);
        output.Write(_distances.MaxSymbol + 1 - 1, 5);
        output.Write(sent - 4, 4);
        for (int i = 0; i < sent; i++)
        {
            output.Write(_codeLengths.Lengths[CodeLengthOrder[i]], 3);
        }

        WriteCodeLengths(_literals, ref output);
        WriteCodeLengths(_distances, ref output);
    }

    /// <summary>As <c>scan_tree</c>.</summary>
    private void CountCodeLengths(HuffmanTree tree)
    {
        foreach (CodeLengthRun run in new CodeLengthRuns(tree.Lengths.AsSpan(0, tree.MaxSymbol + 1)))
        {
            _codeLengths.Count(run.Symbol, run.Times);
        }
    }

    /// <summary>As <c>send_tree</c>.</summary>
    private void WriteCodeLengths(HuffmanTree tree, ref BitWriter output)
    {
        foreach (CodeLengthRun run in new CodeLengthRuns(tree.Lengths.AsSpan(0, tree.MaxSymbol + 1)))
        {
            for (int i = 0; i < run.Times; i++)
            {
                output.Write(_codeLengths.Codes[run.Symbol], _codeLengths.Lengths[run.Symbol]);
            }

            output.Write(run.Extra, CodeLengthExtra[run.Symbol]);
        }
    }

    /// <summary>Distances double every two codes.</summary>
    private static int DistanceSymbol(int distance)
    {
        int d = distance - 1;
        if (d < 4)
        {
            return d;
        }

        int bits = 31 - int.LeadingZeroCount(d);
        return (2 * bits) + ((d >> (bits - 1)) & 1);
    }

    private static byte[] MakeFixedLengths()
    {
        byte[] lengths = new byte[FixedLiteralCodes];
        FixedLiteralLengths(lengths);
        return lengths;
    }

    private static byte[] MakeFixedDistanceLengths()
    {
        byte[] lengths = new byte[DistanceCodes];
        lengths.AsSpan().Fill(5);
        return lengths;
    }

    private static ushort[] MakeCodes(byte[] lengths)
    {
        ushort[] codes = new ushort[lengths.Length];
        HuffmanTree.AssignCodes(lengths, codes);
        return codes;
    }

    private static byte[] MakeLengthSymbols()
    {
        byte[] symbols = new byte[MaxMatch - MinMatch + 1];
        for (int symbol = 0; symbol < LengthCodes; symbol++)
        {
            symbols.AsSpan(LengthBase[symbol] - MinMatch).Fill((byte)symbol);
        }

        return symbols;
    }
}
