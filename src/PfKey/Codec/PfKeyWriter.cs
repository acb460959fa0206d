using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>Writes one message into a buffer that grows. Every byte that is not written is zero.</summary>
internal sealed class PfKeyWriter : IDisposable
{
    private const int TypicalMessage = 1024;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(TypicalMessage);
    private int _length;

    /// <param name="header">The message's header; <see cref="Complete"/> fills in its length.</param>
    public PfKeyWriter(in SadbMsg header) => MemoryMarshal.Write(Extend(Unsafe.SizeOf<SadbMsg>()), header);

    public int Length => _length;

    /// <summary>The message.</summary>
    public Span<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Gives the header its length.</summary>
    /// <param name="surplus">Bytes that it claims beyond what was written.</param>
    public void Complete(int surplus = 0)
    {
        ref SadbMsg header = ref MemoryMarshal.AsRef<SadbMsg>(Written);
        header.Len = (ushort)((_length + surplus) / ExtensionTable.Word);
    }

    /// <summary>An extension without variable part.</summary>
    public void Put<T>(SadbExtType type, in T extension) where T : unmanaged => Begin(type, extension, 0);

    /// <summary>An extension with a variable part, which is returned, zeroed, for the caller to fill.</summary>
    public Span<byte> Begin<T>(SadbExtType type, in T extension, int variable) where T : unmanaged
    {
        Span<byte> whole = Extend(Unsafe.SizeOf<T>() + variable);
        MemoryMarshal.Write(whole, extension);
        MemoryMarshal.Write(whole, new SadbExt { Len = (ushort)(whole.Length / ExtensionTable.Word), ExtType = type });
        return whole[Unsafe.SizeOf<T>()..];
    }

    /// <summary>An address extension.</summary>
    public void PutAddress(SadbExtType type, byte proto, byte prefix, in SocketAddress address) =>
        address.WriteTo(Begin(type, new SadbAddress { Proto = proto, Prefixlen = prefix }, SocketAddress.PaddedLength(address.Family)));

    /// <summary>The address of an SA's end: one host, no port.</summary>
    public void PutHost(SadbExtType type, ushort family, in XfrmAddress address) =>
        PutAddress(type, 0, SocketAddress.FullPrefix(family), new SocketAddress(family, address, default));

    /// <summary>Makes the extension that began at <paramref name="start"/> reach to the end of what was written.</summary>
    public void EndAt(int start, SadbExtType type) =>
        MemoryMarshal.Write(_buffer.AsSpan(start), new SadbExt { Len = (ushort)((_length - start) / ExtensionTable.Word), ExtType = type });

    /// <summary>Bytes inside an extension, zeroed.</summary>
    public Span<byte> Extend(int count)
    {
        if (_buffer.Length - _length < count)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + count));
            Written.CopyTo(larger);
            Return();
            _buffer = larger;
        }
        Span<byte> extended = _buffer.AsSpan(_length, count);
        extended.Clear();
        _length += count;
        return extended;
    }

    public void Dispose()
    {
        if (_buffer.Length != 0)
        {
            Return();
            _buffer = [];
            _length = 0;
        }
    }

    // Keys may have passed through.
    private void Return()
    {
        _buffer.AsSpan(0, _length).Clear();
        ArrayPool<byte>.Shared.Return(_buffer);
    }
}
