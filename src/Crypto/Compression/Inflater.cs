using System.Buffers.Binary;
using static Xfrmd.Crypto.Compression.DeflateFormat;

namespace Xfrmd.Crypto.Compression;

/// <summary>Unpacks a whole deflate stream (RFC 1951) into a bounded buffer, which is its window too. Bytes after the last block are not looked at.</summary>
internal sealed class Inflater
{
    private readonly HuffmanDecoder _literals = new(), _distances = new(), _codeLengths = new();
    private readonly byte[] _lengths = new byte[FixedLiteralCodes + 32];

    public bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> destination, out int written)
    {
        written = 0;
        var input = new BitReader(source);
        for (int last = 0; last == 0;)
        {
            if (!input.TryRead(1, out last) || !input.TryRead(2, out int type))
            {
                return false;
            }

            bool good = type switch
            {
                Stored => TryStored(ref input, destination, ref written),
                Fixed => TryReadFixed() && TrySymbols(ref input, destination, ref written),
                Dynamic => TryReadTrees(ref input) && TrySymbols(ref input, destination, ref written),
                _ => false,
            };
            if (!good)
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryStored(ref BitReader input, Span<byte> destination, ref int written)
    {
        if (!input.TryReadBytes(4, out ReadOnlySpan<byte> header))
        {
            return false;
        }

        int length = BinaryPrimitives.ReadUInt16LittleEndian(header);
        int complement = BinaryPrimitives.ReadUInt16LittleEndian(header[2..]);
        if (length != (~complement & 0xffff) || length > destination.Length - written || !input.TryReadBytes(length, out ReadOnlySpan<byte> bytes))
        {
            return false;
        }

        bytes.CopyTo(destination[written..]);
        written += length;
        return true;
    }

    private bool TryReadFixed()
    {
        Span<byte> lengths = _lengths.AsSpan(0, FixedLiteralCodes);
        FixedLiteralLengths(lengths);
        bool good = _literals.TryBuild(lengths, allowSingle: false);
        lengths = lengths[..32];
        lengths.Fill(5);
        return good && _distances.TryBuild(lengths, allowSingle: false);
    }

    private bool TryReadTrees(ref BitReader input)
    {
        if (!input.TryRead(5, out int literals) || !input.TryRead(5, out int distances) || !input.TryRead(4, out int sent))
        {
            return false;
        }

        literals += FirstLengthCode;
        distances += 1;
        sent += 4;
        if (literals > LiteralCodes || distances > DistanceCodes)
        {
            return false;
        }

        Span<byte> lengths = _lengths;
        lengths[..CodeLengthCodes].Clear();
        for (int i = 0; i < sent; i++)
        {
            if (!input.TryRead(3, out int length))
            {
                return false;
            }

            lengths[CodeLengthOrder[i]] = (byte)length;
        }

        return _codeLengths.TryBuild(lengths[..CodeLengthCodes], allowSingle: false)
            && TryReadCodeLengths(ref input, lengths[..(literals + distances)])
            && _literals.TryBuild(lengths[..literals], allowSingle: true)
            && _distances.TryBuild(lengths.Slice(literals, distances), allowSingle: true);
    }

    private bool TryReadCodeLengths(ref BitReader input, Span<byte> lengths)
    {
        for (int at = 0; at < lengths.Length;)
        {
            int symbol = _codeLengths.Decode(ref input);
            if (symbol < 0)
            {
                return false;
            }

            if (symbol < RepeatPrevious)
            {
                lengths[at++] = (byte)symbol;
                continue;
            }

            if (!input.TryRead(CodeLengthExtra[symbol], out int extra) || (symbol == RepeatPrevious && at == 0))
            {
                return false;
            }

            int times = extra + (symbol == RepeatZeroLong ? 11 : 3);
            if (times > lengths.Length - at)
            {
                return false;
            }

            lengths.Slice(at, times).Fill(symbol == RepeatPrevious ? lengths[at - 1] : (byte)0);
            at += times;
        }

        return true;
    }

    private bool TrySymbols(ref BitReader input, Span<byte> destination, ref int written)
    {
        for (; ; )
        {
            int symbol = _literals.Decode(ref input);
            if (symbol < EndOfBlock)
            {
                if (symbol < 0 || written == destination.Length)
                {
                    return false;
                }

                destination[written++] = (byte)symbol;
                continue;
            }

            if (symbol == EndOfBlock)
            {
                return true;
            }

            symbol -= FirstLengthCode;
            if (symbol >= LengthCodes || !input.TryRead(LengthExtra[symbol], out int extra))
            {
                return false;
            }

            int length = LengthBase[symbol] + extra;
            symbol = _distances.Decode(ref input);
            if (symbol is < 0 or >= DistanceCodes || !input.TryRead(DistanceExtra[symbol], out extra))
            {
                return false;
            }

            int distance = DistanceBase[symbol] + extra;
            if (distance > written || length > destination.Length - written)
            {
                return false;
            }

            Copy(destination, written, distance, length);
            written += length;
        }
    }

    /// <summary>A match may run into the bytes that it makes itself: copy no more at a time than its distance.</summary>
    private static void Copy(Span<byte> destination, int at, int distance, int length)
    {
        while (length > 0)
        {
            int count = Math.Min(length, distance);
            destination.Slice(at - distance, count).CopyTo(destination[at..]);
            at += count;
            length -= count;
            distance += count;
        }
    }
}
