using System.Security.Cryptography;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    /// <summary><c>ah_input</c>: verifies the packet with its outer header and leaves what follows the authentication header in the slot.</summary>
    private static bool TryAh(ref PacketSlot packet, InboundSa link, ref Arrival layer, uint sequenceHigh, out byte next)
    {
        next = 0;
        SecurityAssociation sa = link.Sa;
        if (!layer.TryMaterialize(ref packet) || !AhView.TryParse(packet.Span, out AhView ah))
        {
            return false;
        }
        // The length of the untruncated ICV is taken too.
        int length = ah.HeaderLength, full = (sa.Ah!.Algorithm.FullBits + 7) / 8;
        if ((length != Pmtu.AhLength(sa) && length != Pmtu.AhLength(sa, full)) || length > packet.Length)
        {
            return false;
        }
        Span<byte> icv = stackalloc byte[AuthContext.MaxLength];
        icv = icv[..link.IcvLength];
        ReadOnlySpan<byte> whole = packet.Buffer.AsSpan(layer.HeaderAt, packet.End - layer.HeaderAt);
        if (!AhDigest.TryCompute(link.Ah!, whole, layer.HeaderLength, icv.Length, sa.IsEsn, sequenceHigh, outbound: false, icv))
        {
            return false;
        }
        if (!CryptographicOperations.FixedTimeEquals(icv, ah.Bytes.Slice(AhView.FixedLength, icv.Length)))
        {
            sa.CountIntegrityFailure();
            return false;
        }
        next = ah.NextHeader;
        packet.StartAt(packet.Offset + length);
        return true;
    }
}
