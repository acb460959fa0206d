using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    private const int TrailerLength = 2;   // pad length, next header

    /// <summary><c>esp_input</c>: verifies and decrypts, and leaves the payload without padding in the slot.</summary>
    private bool TryEsp(ref PacketSlot packet, InboundSa link, in Arrival layer, uint sequenceHigh, out byte next)
    {
        next = 0;
        Span<byte> esp = packet.Span;
        SecurityAssociation sa = link.Sa;
        int header = EspView.HeaderLength + link.IvLength, plain = esp.Length - header - link.IcvLength;
        if (plain < 0 || esp.Length <= header)
        {
            return false;   // too short for an ICV: none is wrong
        }
        if (!link.Esp!.Open(esp, sa.IsEsn, sequenceHigh))
        {
            if (link.IcvLength > 0)
            {
                sa.CountIntegrityFailure();
            }
            return false;
        }
        // esp_remove_trailer: an empty payload is refused; what the padding holds is not looked at.
        int end = header + plain;
        if (plain < TrailerLength || esp[end - TrailerLength] + TrailerLength >= plain)
        {
            return false;
        }
        next = esp[end - 1];
        int payload = plain - TrailerLength - esp[end - TrailerLength];
        TellMapping(sa, layer);
        if (next == NextHeader.None)
        {
            return false;
        }
        int start = packet.Offset + header;
        packet.Length = payload;
        packet.Offset = start;
        return true;
    }

    /// <summary><c>esp_input_done2</c>: an authentic packet from elsewhere than the SA says: the peer's NAT has a new mapping.</summary>
    private void TellMapping(SecurityAssociation sa, in Arrival layer)
    {
        if (sa.Encap is { } encap && (layer.Sport != encap.EncapSport.Value || !layer.Saddr.Equals(sa.Saddr, sa.Family)))
        {
            space.PostMapping(sa, layer.Saddr, Be16.From(layer.Sport));
        }
    }
}
