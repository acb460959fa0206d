using Xfrmd.Crypto.Compression;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    private const int MaxUnpacked = 65400;   // IPCOMP_SCRATCH_SIZE
    private DeflateCodec? _deflate;
    private byte[]? _unpacked;

    /// <summary>Whether a delivered packet, unpacked, has outgrown its slot and lies where the next such one will: it must be copied.</summary>
    public bool IsTransient(in PacketSlot packet) => packet.Buffer == _unpacked;

    /// <summary><c>ipcomp_input</c>: unpacks the payload into the slot. What did not gain by packing is refused.</summary>
    private bool TryComp(ref PacketSlot packet, ref Arrival layer, out byte next)
    {
        next = 0;
        if (!layer.TryMaterialize(ref packet) || layer.HeaderLength > PacketSlot.Headroom || !IpCompView.TryParse(packet.Span, out IpCompView comp))
        {
            return false;
        }
        _deflate ??= new DeflateCodec();
        _unpacked ??= GC.AllocateUninitializedArray<byte>(PacketSlot.Headroom + MaxUnpacked + PacketSlot.Tailroom, pinned: true);
        Span<byte> unpacked = _unpacked.AsSpan(PacketSlot.Headroom, MaxUnpacked);
        if (packet.Buffer == _unpacked || !_deflate.TryDecompress(comp.Payload, unpacked, out int length) || length < packet.Length)
        {
            return false;   // packed twice: no SA pair does that
        }
        next = comp.NextHeader;
        if (packet.Offset + IpCompView.HeaderLength + length > packet.Limit)
        {
            // It has outgrown its slot, and stays where it was unpacked.
            packet.Buffer.AsSpan(layer.HeaderAt, layer.HeaderLength).CopyTo(_unpacked.AsSpan(PacketSlot.Headroom - layer.HeaderLength));
            layer.HeaderAt = PacketSlot.Headroom - layer.HeaderLength;
            packet = new PacketSlot(_unpacked, PacketSlot.Headroom, length, 0, _unpacked.Length) { Mark = packet.Mark };
            return true;
        }
        int start = packet.Offset + IpCompView.HeaderLength;
        unpacked[..length].CopyTo(packet.Buffer.AsSpan(start));
        packet.Offset = start;
        packet.Length = length;
        return true;
    }
}
