using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    private byte[]? _compressed;

    /// <summary><c>ipcomp_output</c>: what is short, or would not shrink by more than the header, goes as it is, without one.</summary>
    private bool TryComp(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, int childMtu)
    {
        byte[] buffer = packet.Buffer;
        int length = frame.PayloadLength, end = frame.Payload + length;
        byte protocol = frame.NextHeader;
        if (length >= link.CompThreshold)
        {
            _compressed ??= GC.AllocateUninitializedArray<byte>(ushort.MaxValue);
            Span<byte> room = _compressed.AsSpan(0, length - IpCompView.HeaderLength - 1);
            if (link.Comp!.TryCompress(buffer.AsSpan(frame.Payload, length), room, out int written))
            {
                IpCompView.Write(buffer.AsSpan(frame.Payload), protocol, (ushort)link.Spi);
                room[..written].CopyTo(buffer.AsSpan(frame.Payload + IpCompView.HeaderLength));
                end = frame.Payload + IpCompView.HeaderLength + written;
                protocol = IpProtocol.Comp;
            }
        }
        if (end - frame.Payload > MaxTotal - (link.IsIpv4 ? Ipv4View.MinHeaderLength : 0))
        {
            return Drop(XfrmCounter.OutStateProtoError);
        }
        PutHeader(ref packet, link, frame, frame.Payload, end, protocol, childMtu);
        return true;
    }
}
