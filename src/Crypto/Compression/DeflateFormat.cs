namespace Xfrmd.Crypto.Compression;

/// <summary>The constants of RFC 1951.</summary>
internal static class DeflateFormat
{
    public const int Stored = 0, Fixed = 1, Dynamic = 2;
    public const int MinMatch = 3, MaxMatch = 258;
    public const int EndOfBlock = 256, FirstLengthCode = 257;
    public const int LiteralCodes = 286, FixedLiteralCodes = 288, DistanceCodes = 30, LengthCodes = 29, CodeLengthCodes = 19;
    public const int MaxBits = 15, MaxCodeLengthBits = 7;

    /// <summary>In an alphabet of code lengths: repeat the last 3-6 times, zero 3-10 times, zero 11-138 times.</summary>
    public const int RepeatPrevious = 16, RepeatZero = 17, RepeatZeroLong = 18;

    /// <summary>Section 3.2.5, codes 257..285.</summary>
    public static readonly ushort[] LengthBase =
        [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];

    public static ReadOnlySpan<byte> LengthExtra =>
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

    /// <summary>Section 3.2.5, codes 0..29.</summary>
    public static readonly ushort[] DistanceBase =
        [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];

    public static ReadOnlySpan<byte> DistanceExtra =>
        [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

    public static ReadOnlySpan<byte> CodeLengthExtra => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

    /// <summary>Section 3.2.7: the order in which the lengths of code-length codes are sent.</summary>
    public static ReadOnlySpan<byte> CodeLengthOrder => [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

    /// <summary>Section 3.2.6: the lengths of the fixed literal and length codes.</summary>
    public static void FixedLiteralLengths(Span<byte> lengths)
    {
        lengths[..144].Fill(8);
        lengths[144..256].Fill(9);
        lengths[256..280].Fill(7);
        lengths[280..FixedLiteralCodes].Fill(8);
    }
}
