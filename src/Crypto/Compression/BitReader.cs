namespace Xfrmd.Crypto.Compression;

/// <summary>Reads bits, the lowest first; past the end there are zeros to look at, but none to take.</summary>
internal ref struct BitReader(ReadOnlySpan<byte> source)
{
    private readonly ReadOnlySpan<byte> _source = source;
    private ulong _bits;
    private int _count, _at;

    /// <summary>Looks at up to 16 bits.</summary>
    public int Peek(int bits)
    {
        while (_count < bits && _at < _source.Length)
        {
            _bits |= (ulong)_source[_at++] << _count;
            _count += 8;
        }

        return (int)(_bits & ((1UL << bits) - 1));
    }

    public bool TrySkip(int bits)
    {
        if (_count < bits)
        {
            return false;
        }

        _bits >>= bits;
        _count -= bits;
        return true;
    }

    public bool TryRead(int bits, out int value)
    {
        value = Peek(bits);
        return TrySkip(bits);
    }

    /// <summary>Drops the rest of a byte, then takes whole bytes.</summary>
    public bool TryReadBytes(int count, out ReadOnlySpan<byte> bytes)
    {
        int buffered = _count / 8;
        int at = _at - buffered;
        if (_source.Length - at < count)
        {
            bytes = default;
            return false;
        }

        bytes = _source.Slice(at, count);
        _at = at + count;
        _bits = 0;
        _count = 0;
        return true;
    }
}
