using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    /// <summary><c>ah_output</c>: the header, then the ICV over the finished packet.</summary>
    private bool TryAh(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, ulong sequence, int childMtu)
    {
        int start = frame.Payload - link.TransformHeader, end = frame.Payload + frame.PayloadLength;
        if (end - start > MaxTotal - (link.IsIpv4 ? Ipv4View.MinHeaderLength : 0))
        {
            return Drop(XfrmCounter.OutStateProtoError);
        }
        PutHeader(ref packet, link, frame, start, end, NextHeader.Ah, childMtu);
        Span<byte> ah = packet.Buffer.AsSpan(start, link.TransformHeader), icv = stackalloc byte[AuthContext.MaxLength];
        // Linux leaves in the padding what stood there: in transport mode the end of the packet's own header, else unused room.
        if (frame.KeptHeader == 0)
        {
            ah.Clear();
        }
        AhView.Write(ah, frame.NextHeader, ah.Length, link.Spi, (uint)sequence);
        icv = icv[..link.IcvLength];
        if (!AhDigest.TryCompute(link.Ah!, packet.Span, start - packet.Offset, icv.Length, link.Sa.IsEsn, (uint)(sequence >> 32), outbound: true, icv))
        {
            return Drop(XfrmCounter.OutStateProtoError);
        }
        icv.CopyTo(ah[AhView.FixedLength..]);
        return true;
    }
}
