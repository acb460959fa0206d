using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>
/// One message taken apart: its header and its extensions by type (<c>ext_hdrs</c>). What is present was found well formed, so that
/// reading it cannot fail. No bytes make it throw.
/// </summary>
internal ref struct SadbMessage
{
    private const int PageSize = 4096;
    private const int MaxTypes = (int)SadbExtType.Max + 1;
    private readonly ReadOnlySpan<byte> _bytes;
    private Slots _slots;

    private SadbMessage(SadbMsg header, ReadOnlySpan<byte> bytes)
    {
        Header = header;
        _bytes = bytes;
    }

    public SadbMsg Header { get; }

    /// <summary>The datagram, header included.</summary>
    public readonly ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary><c>pfkey_get_base_msg</c>: what is wrong here is the result of send(2).</summary>
    public static Errno TryRead(ReadOnlySpan<byte> datagram, out SadbMessage message)
    {
        message = default;
        if (!MemoryMarshal.TryRead(datagram, out SadbMsg header))
        {
            return Errno.EMSGSIZE;
        }
        if (header.Version != SadbMsg.V2 || header.Reserved != 0 || header.Type is SadbType.Reserved or > SadbType.Max)
        {
            return Errno.EINVAL;
        }
        if (header.Len != datagram.Length / ExtensionTable.Word || header.Len < Unsafe.SizeOf<SadbMsg>() / ExtensionTable.Word)
        {
            return Errno.EMSGSIZE;
        }
        message = new SadbMessage(header, datagram);
        return Errno.None;
    }

    /// <summary><c>parse_exthdrs</c>: what is wrong here is answered with a message.</summary>
    public Errno ParseExtensions()
    {
        int at = Unsafe.SizeOf<SadbMsg>();
        while (at < _bytes.Length)
        {
            ReadOnlySpan<byte> rest = _bytes[at..];
            if (!MemoryMarshal.TryRead(rest, out SadbExt extension))
            {
                return Errno.EINVAL;
            }
            int length = extension.Len * ExtensionTable.Word;
            if (length == 0 || length > rest.Length || extension.ExtType == SadbExtType.Reserved)
            {
                return Errno.EINVAL;
            }
            if (extension.ExtType <= SadbExtType.Max)
            {
                ExtensionRule rule = ExtensionTable.Rules[(int)extension.ExtType];
                ref Slot slot = ref _slots[(int)extension.ExtType];
                if (length < rule.MinLength || slot.Length != 0 || !Passes(rule.Check, rest[..length]))
                {
                    return Errno.EINVAL;
                }
                slot = new Slot(at, length);
            }
            at += length;
        }
        return Errno.None;
    }

    public readonly bool Has(SadbExtType type) => _slots[(int)type].Length != 0;

    /// <summary>The extension, its header included; empty where it is absent.</summary>
    public readonly ReadOnlySpan<byte> Extension(SadbExtType type)
    {
        Slot slot = _slots[(int)type];
        return _bytes.Slice(slot.Offset, slot.Length);
    }

    /// <summary>The fixed part of an extension; false where it is absent.</summary>
    public readonly bool TryGet<T>(SadbExtType type, out T value) where T : unmanaged => MemoryMarshal.TryRead(Extension(type), out value);

    /// <summary>An address extension's <c>sockaddr</c>.</summary>
    public readonly bool TryGetAddress(SadbExtType type, out SadbAddress extension, out SocketAddress address)
    {
        address = default;
        return TryGet(type, out extension) && SocketAddress.TryRead(Extension(type)[Unsafe.SizeOf<SadbAddress>()..], out address);
    }

    /// <summary><c>present_and_same_family</c>: both ends are there.</summary>
    public readonly bool TryGetEnds(out SadbEnds ends)
    {
        ends = default;
        return TryGetAddress(SadbExtType.AddressSrc, out ends.SourceExtension, out ends.Source)
            && TryGetAddress(SadbExtType.AddressDst, out ends.DestinationExtension, out ends.Destination)
            && ends.Source.Family == ends.Destination.Family;
    }

    /// <summary>A key's bits and bytes.</summary>
    public readonly bool TryGetKey(SadbExtType type, out int bits, out ReadOnlySpan<byte> key)
    {
        key = default;
        bits = 0;
        if (!TryGet(type, out SadbKey extension))
        {
            return false;
        }
        bits = extension.Bits;
        key = Extension(type).Slice(Unsafe.SizeOf<SadbKey>(), (bits + 7) / 8);
        return true;
    }

    /// <summary><c>verify_sec_ctx_len</c>.</summary>
    public static bool IsSecurityContext(ReadOnlySpan<byte> extension) =>
        MemoryMarshal.TryRead(extension, out SadbXSecCtx context) && context.CtxLen <= PageSize
        && context.Len == ExtensionTable.Align(Unsafe.SizeOf<SadbXSecCtx>() + context.CtxLen) / ExtensionTable.Word;

    private static bool Passes(ExtensionCheck check, ReadOnlySpan<byte> extension) => check switch
    {
        ExtensionCheck.Address => IsAddress(extension),
        ExtensionCheck.Key => MemoryMarshal.TryRead(extension, out SadbKey key) && Unsafe.SizeOf<SadbKey>() + ((key.Bits + 7) / 8) <= extension.Length,
        ExtensionCheck.SecurityContext => IsSecurityContext(extension),
        _ => true,
    };

    // verify_address_len: the extension is as long as its family's sockaddr asks for, no more.
    private static bool IsAddress(ReadOnlySpan<byte> extension) =>
        MemoryMarshal.TryRead(extension, out SadbAddress address)
        && SocketAddress.TryRead(extension[Unsafe.SizeOf<SadbAddress>()..], out SocketAddress inner)
        && extension.Length == Unsafe.SizeOf<SadbAddress>() + SocketAddress.PaddedLength(inner.Family)
        && address.Prefixlen <= SocketAddress.FullPrefix(inner.Family);

    private readonly record struct Slot(int Offset, int Length);

    [InlineArray(MaxTypes)]
    private struct Slots
    {
        private Slot _first;
    }
}
