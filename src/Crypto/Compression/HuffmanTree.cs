namespace Xfrmd.Crypto.Compression;

/// <summary>
/// Counts symbols and gives them codes of limited length. It breaks ties and shortens codes as zlib does (build_tree, gen_bitlen,
/// lib/zlib_deflate/deftree.c): other choices would be as short, but not the bytes that Linux sends.
/// </summary>
internal sealed class HuffmanTree
{
    private const int HeapSize = (2 * DeflateFormat.LiteralCodes) + 1;

    private readonly int _symbols, _maxLength, _extraBase;
    private readonly byte[] _extra;
    private readonly byte[]? _fixedLengths;
    private readonly int[] _frequency = new int[HeapSize];
    private readonly int[] _parent = new int[HeapSize];
    private readonly int[] _heap = new int[HeapSize];
    private readonly byte[] _depth = new byte[HeapSize];
    private readonly int[] _countByLength = new int[DeflateFormat.MaxBits + 1];
    private int _heapLength, _heapTop;

    /// <param name="symbols">The alphabet's size.</param>
    /// <param name="maxLength">Bits of the longest code.</param>
    /// <param name="extra">Extra bits of the symbols from <paramref name="extraBase"/> on.</param>
    /// <param name="extraBase">The first symbol with extra bits.</param>
    /// <param name="fixedLengths">The fixed code to compare with, if there is one.</param>
    public HuffmanTree(int symbols, int maxLength, ReadOnlySpan<byte> extra, int extraBase, byte[]? fixedLengths)
    {
        _symbols = symbols;
        _maxLength = maxLength;
        _extra = extra.ToArray();
        _extraBase = extraBase;
        _fixedLengths = fixedLengths;
    }

    /// <summary>Bits per symbol; 0: not used.</summary>
    public byte[] Lengths { get; } = new byte[HeapSize];

    /// <summary>Codes, already reversed: deflate sends them highest bit first.</summary>
    public ushort[] Codes { get; } = new ushort[HeapSize];

    /// <summary>The last symbol in use.</summary>
    public int MaxSymbol { get; private set; }

    /// <summary>Bits that all counted symbols take in this code.</summary>
    public int CodedBits { get; private set; }

    /// <summary>Bits that they would take in the fixed code.</summary>
    public int FixedBits { get; private set; }

    public void Clear() => _frequency.AsSpan(0, _symbols).Clear();

    public void Count(int symbol, int times = 1) => _frequency[symbol] += times;

    public void Build()
    {
        CodedBits = FixedBits = 0;
        CollectSymbols();
        for (int n = _heapLength / 2; n >= 1; n--)
        {
            SiftDown(n);
        }

        int node = _symbols;
        do
        {
            int least = _heap[1];
            _heap[1] = _heap[_heapLength--];
            SiftDown(1);
            int next = _heap[1];
            _heap[--_heapTop] = least;
            _heap[--_heapTop] = next;
            _frequency[node] = _frequency[least] + _frequency[next];
            _depth[node] = (byte)(Math.Max(_depth[least], _depth[next]) + 1);
            _parent[least] = _parent[next] = node;
            _heap[1] = node++;
            SiftDown(1);
        }
        while (_heapLength >= 2);

        _heap[--_heapTop] = _heap[1];
        AssignLengths();
        AssignCodes(Lengths.AsSpan(0, MaxSymbol + 1), Codes);
    }

    /// <summary>RFC 1951 section 3.2.2.</summary>
    public static void AssignCodes(ReadOnlySpan<byte> lengths, Span<ushort> codes)
    {
        Span<int> count = stackalloc int[DeflateFormat.MaxBits + 1];
        count.Clear();
        foreach (byte length in lengths)
        {
            count[length]++;
        }

        count[0] = 0;
        Span<int> next = stackalloc int[DeflateFormat.MaxBits + 1];
        int code = 0;
        for (int bits = 1; bits <= DeflateFormat.MaxBits; bits++)
        {
            code = (code + count[bits - 1]) << 1;
            next[bits] = code;
        }

        for (int n = 0; n < lengths.Length; n++)
        {
            if (lengths[n] != 0)
            {
                codes[n] = Reverse(next[lengths[n]]++, lengths[n]);
            }
        }
    }

    private static ushort Reverse(int code, int length)
    {
        int reversed = 0;
        for (int i = 0; i < length; i++)
        {
            reversed = (reversed << 1) | ((code >> i) & 1);
        }

        return (ushort)reversed;
    }

    private void CollectSymbols()
    {
        _heapLength = 0;
        _heapTop = HeapSize;
        MaxSymbol = -1;
        for (int n = 0; n < _symbols; n++)
        {
            if (_frequency[n] != 0)
            {
                _heap[++_heapLength] = MaxSymbol = n;
                _depth[n] = 0;
            }
            else
            {
                Lengths[n] = 0;
            }
        }

        // Two codes at least, so that each has a bit.
        while (_heapLength < 2)
        {
            int forced = _heap[++_heapLength] = MaxSymbol < 2 ? ++MaxSymbol : 0;
            _frequency[forced] = 1;
            _depth[forced] = 0;
            CodedBits--;
            FixedBits -= _fixedLengths is null ? 0 : _fixedLengths[forced];
        }
    }

    private void AssignLengths()
    {
        Span<int> count = _countByLength;
        count.Clear();
        Lengths[_heap[_heapTop]] = 0;
        int tooLong = 0;
        for (int h = _heapTop + 1; h < HeapSize; h++)
        {
            int n = _heap[h];
            int bits = Lengths[_parent[n]] + 1;
            if (bits > _maxLength)
            {
                bits = _maxLength;
                tooLong++;
            }

            Lengths[n] = (byte)bits;
            if (n > MaxSymbol)
            {
                continue;
            }

            count[bits]++;
            int extra = n >= _extraBase && n - _extraBase < _extra.Length ? _extra[n - _extraBase] : 0;
            CodedBits += _frequency[n] * (bits + extra);
            FixedBits += _fixedLengths is null ? 0 : _frequency[n] * (_fixedLengths[n] + extra);
        }

        if (tooLong > 0)
        {
            Shorten(tooLong);
        }
    }

    /// <summary>Moves leaves up until no code is longer than allowed, then hands out the lengths anew, the longest to the rarest.</summary>
    private void Shorten(int tooLong)
    {
        Span<int> count = _countByLength;
        do
        {
            int bits = _maxLength - 1;
            while (count[bits] == 0)
            {
                bits--;
            }

            count[bits]--;
            count[bits + 1] += 2;
            count[_maxLength]--;
            tooLong -= 2;
        }
        while (tooLong > 0);

        int h = HeapSize;
        for (int bits = _maxLength; bits != 0; bits--)
        {
            for (int left = count[bits]; left > 0;)
            {
                int symbol = _heap[--h];
                if (symbol > MaxSymbol)
                {
                    continue;
                }

                CodedBits += (bits - Lengths[symbol]) * _frequency[symbol];
                Lengths[symbol] = (byte)bits;
                left--;
            }
        }
    }

    private void SiftDown(int k)
    {
        int v = _heap[k];
        for (int j = k << 1; j <= _heapLength; j <<= 1)
        {
            if (j < _heapLength && Before(_heap[j + 1], _heap[j]))
            {
                j++;
            }

            if (Before(v, _heap[j]))
            {
                break;
            }

            _heap[k] = _heap[j];
            k = j;
        }

        _heap[k] = v;
    }

    private bool Before(int n, int m) => _frequency[n] < _frequency[m] || (_frequency[n] == _frequency[m] && _depth[n] <= _depth[m]);
}
