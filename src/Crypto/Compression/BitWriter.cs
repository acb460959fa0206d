namespace Xfrmd.Crypto.Compression;

/// <summary>Writes bits, the lowest first, and remembers when the room ended instead of going past it.</summary>
internal ref struct BitWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;
    private ulong _bits;
    private int _count;

    public int Written { get; private set; }

    public bool Overflowed { get; private set; }

    public void Write(int value, int bits)
    {
        _bits |= (ulong)(uint)value << _count;
        _count += bits;
        while (_count >= 8)
        {
            WriteByte((byte)_bits);
            _bits >>= 8;
            _count -= 8;
        }
    }

    /// <summary>Fills up the last byte with zeros.</summary>
    public void Align()
    {
        if (_count > 0)
        {
            Write(0, 8 - _count);
        }
    }

    /// <summary>On a byte's border.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _destination.Length - Written)
        {
            Overflowed = true;
            return;
        }

        bytes.CopyTo(_destination[Written..]);
        Written += bytes.Length;
    }

    private void WriteByte(byte value)
    {
        if (Written == _destination.Length)
        {
            Overflowed = true;
            return;
        }

        _destination[Written++] = value;
    }
}
