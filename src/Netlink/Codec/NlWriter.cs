using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Codec;

/// <summary>Writes netlink messages one after the other into a buffer that grows. Every byte that is not written is zero.</summary>
internal sealed class NlWriter : IDisposable
{
    private byte[] _buffer;
    private int _length;

    public NlWriter(int capacity) => _buffer = ArrayPool<byte>.Shared.Rent(capacity);

    public int Length => _length;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary><c>nlmsg_put</c>. Returns what <see cref="EndMessage"/> takes.</summary>
    public int BeginMessage(ushort type, NlMsgFlags flags, uint seq, uint portId)
    {
        int start = _length;
        PutRaw(new NlMsgHdr { Type = type, Flags = flags, Seq = seq, Pid = portId });
        return start;
    }

    /// <summary>A message with its fixed body.</summary>
    public int BeginMessage<T>(XfrmMsg type, NlMsgFlags flags, uint seq, uint portId, in T body) where T : unmanaged
    {
        int start = BeginMessage((ushort)type, flags, seq, portId);
        PutRaw(body);
        return start;
    }

    /// <summary><c>nlmsg_end</c>: the length, padding included, goes into the header.</summary>
    /// <param name="start">What <see cref="BeginMessage(ushort, NlMsgFlags, uint, uint)"/> returned.</param>
    public void EndMessage(int start) => MemoryMarshal.Write(_buffer.AsSpan(start), (uint)(_length - start));

    /// <summary>Takes back all from here on.</summary>
    public void Truncate(int length)
    {
        _buffer.AsSpan(length, _length - length).Clear();
        _length = length;
    }

    public void SetFlags(int start, NlMsgFlags flags) =>
        MemoryMarshal.Write(_buffer.AsSpan(start + 6), (ushort)flags);

    /// <summary>Bytes without header, padded to 4.</summary>
    public void PutRaw<T>(in T value) where T : unmanaged => MemoryMarshal.Write(Extend(Unsafe.SizeOf<T>()), value);

    public void PutRaw(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Extend(bytes.Length));

    /// <summary><c>nla_put</c>.</summary>
    public void Put(ushort type, ReadOnlySpan<byte> data) => data.CopyTo(Attribute(type, data.Length));

    public void Put<T>(ushort type, in T value) where T : unmanaged => MemoryMarshal.Write(Attribute(type, Unsafe.SizeOf<T>()), value);

    public void Put<T>(XfrmAttr type, in T value) where T : unmanaged => Put((ushort)type, value);

    /// <summary>The payload of a new attribute, zeroed, for the caller to fill.</summary>
    public Span<byte> Attribute(ushort type, int length)
    {
        Span<byte> whole = Extend(NlAttr.HeaderSize + length);
        MemoryMarshal.Write(whole, (ushort)(NlAttr.HeaderSize + length));
        MemoryMarshal.Write(whole[2..], type);
        return whole.Slice(NlAttr.HeaderSize, length);
    }

    /// <summary><c>nla_nest_start</c>. Returns what <see cref="EndNested"/> takes.</summary>
    public int BeginNested(ushort type)
    {
        const ushort nested = 0x8000;
        int start = _length;
        Attribute((ushort)(type | nested), 0);
        return start;
    }

    public void EndNested(int start) => MemoryMarshal.Write(_buffer.AsSpan(start), (ushort)(_length - start));

    public void Dispose()
    {
        if (_buffer.Length != 0)
        {
            Return();
            _buffer = [];
            _length = 0;
        }
    }

    private Span<byte> Extend(int count)
    {
        int aligned = NlAttr.Align(count);
        if (_buffer.Length - _length < aligned)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + aligned));
            Written.CopyTo(larger);
            Return();
            _buffer = larger;
        }
        Span<byte> extended = _buffer.AsSpan(_length, aligned);
        extended.Clear();
        _length += aligned;
        return extended[..count];
    }

    // Keys may have passed through.
    private void Return()
    {
        _buffer.AsSpan(0, _length).Clear();
        ArrayPool<byte>.Shared.Return(_buffer);
    }
}
