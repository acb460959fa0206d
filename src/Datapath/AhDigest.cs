using System.Buffers.Binary;
using Xfrmd.Crypto;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// The ICV of AH (RFC 4302 section 3.3.3): over the whole packet, with what routers may change set to zero or to what it will be on arrival.
/// Mirrors <c>ah4.c</c> and <c>ah6.c</c>.
/// </summary>
internal static class AhDigest
{
    private const int MaxHeaders = 2048;
    private const int SegmentsLeftOffset = 3, RoutingAddresses = 8;
    private const byte MutableBit = 0x20;   // RFC 8200 section 4.2: the third bit of an option's type

    /// <summary>Computes the ICV of a packet.</summary>
    /// <param name="auth">The keyed algorithm.</param>
    /// <param name="packet">From the IP header on; its lengths and protocol fields are final.</param>
    /// <param name="headerLength">Bytes before the authentication header.</param>
    /// <param name="icvLength">Bytes of the ICV; those in the packet count as zero, and the padding behind them as it is.</param>
    /// <param name="esn">The SA has extended sequence numbers.</param>
    /// <param name="sequenceHigh">Their upper half, which is covered but not sent.</param>
    /// <param name="outbound">The destination is not yet the final one, where a source route tells another.</param>
    /// <param name="icv">Where the ICV goes: <paramref name="icvLength"/> bytes, not inside the packet.</param>
    /// <returns>False: options or extension headers make no sense.</returns>
    public static bool TryCompute(AuthContext auth, ReadOnlySpan<byte> packet, int headerLength, int icvLength, bool esn, uint sequenceHigh, bool outbound, Span<byte> icv)
    {
        if (headerLength > MaxHeaders || packet.Length < headerLength + AhView.FixedLength + icvLength)
        {
            return false;
        }
        Span<byte> headers = stackalloc byte[MaxHeaders];
        headers = headers[..headerLength];
        packet[..headerLength].CopyTo(headers);
        if (!(headers[0] >> 4 == 4 ? TryClear4(headers, outbound) : TryClear6(headers, outbound)))
        {
            return false;
        }
        Span<byte> zeros = stackalloc byte[AuthContext.MaxLength];
        zeros = zeros[..icvLength];
        zeros.Clear();
        auth.Append(headers);
        auth.Append(packet.Slice(headerLength, AhView.FixedLength));
        auth.Append(zeros);
        auth.Append(packet[(headerLength + AhView.FixedLength + icvLength)..]);
        if (esn)
        {
            Span<byte> high = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32BigEndian(high, sequenceHigh);
            auth.Append(high);
        }
        auth.Finish(icv);
        return true;
    }

    private static bool TryClear4(Span<byte> header, bool outbound)
    {
        const int Tos = 1, Fragment = 6, Ttl = 8, Checksum = 10, Daddr = 16;
        header[Tos] = header[Ttl] = 0;
        header.Slice(Fragment, 2).Clear();
        header.Slice(Checksum, 2).Clear();
        return TryClearOptions(header[Ipv4View.MinHeaderLength..], outbound ? header.Slice(Daddr, Ipv4View.AddressLength) : default);
    }

    /// <summary><c>ip_clear_mutable_options</c>; a source route's last hop is the destination on arrival.</summary>
    private static bool TryClearOptions(Span<byte> options, Span<byte> daddr)
    {
        const byte End = 0, NoOperation = 1, Security = 130, LooseRoute = 131, ExtendedSecurity = 133, Cipso = 134, StrictRoute = 137, RouterAlert = 148, SelectiveBroadcast = 149;
        while (!options.IsEmpty)
        {
            if (options[0] == End)
            {
                return true;
            }
            if (options[0] == NoOperation)
            {
                options = options[1..];
                continue;
            }
            if (options.Length < 2 || options[1] < 2 || options[1] > options.Length)
            {
                return false;
            }
            int length = options[1];
            switch (options[0])
            {
                case Security or ExtendedSecurity or Cipso or RouterAlert or SelectiveBroadcast:
                    break;
                case LooseRoute or StrictRoute:
                    if (length < 6)
                    {
                        return false;
                    }
                    if (!daddr.IsEmpty)
                    {
                        options.Slice(length - Ipv4View.AddressLength, Ipv4View.AddressLength).CopyTo(daddr);
                    }
                    options[..length].Clear();
                    break;
                default:
                    options[..length].Clear();
                    break;
            }
            options = options[length..];
        }
        return true;
    }

    private static bool TryClear6(Span<byte> headers, bool outbound)
    {
        const int HopLimit = 7, Daddr = 24;
        Ipv6View.WriteFirstWord(headers, 0, 0);
        headers[HopLimit] = 0;
        int offset = Ipv6View.HeaderLength, nextHeaderAt = Ipv6View.NextHeaderAt;
        while (offset < headers.Length)
        {
            byte type = headers[nextHeaderAt];
            int start = offset;
            if (type is not (NextHeader.HopByHop or NextHeader.Destination or NextHeader.Routing) || !Ipv6Extensions.TryStep(headers, ref offset, ref nextHeaderAt))
            {
                // A fragment header or anything else ends the walk (ipv6_clear_mutable_options).
                return true;
            }
            Span<byte> extension = headers[start..offset];
            bool cleared = type == NextHeader.Routing
                ? !outbound || TryArrive(extension, headers.Slice(Daddr, Ipv6View.AddressLength))
                : TryClearTlvs(extension[2..]);
            if (!cleared)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary><c>zero_out_mutable_opts</c>.</summary>
    private static bool TryClearTlvs(Span<byte> options)
    {
        const byte Pad1 = 0;
        while (!options.IsEmpty)
        {
            if (options[0] == Pad1)
            {
                options = options[1..];
                continue;
            }
            if (options.Length < 2 || options[1] + 2 > options.Length)
            {
                return false;
            }
            int length = options[1] + 2;
            if ((options[0] & MutableBit) != 0)
            {
                options[2..length].Clear();
            }
            options = options[length..];
        }
        return true;
    }

    /// <summary><c>ipv6_rearrange_rthdr</c>: the routing header as it will be at the last hop.</summary>
    private static bool TryArrive(Span<byte> routing, Span<byte> daddr)
    {
        int left = routing[SegmentsLeftOffset], segments = routing[1] / 2;
        if (left == 0)
        {
            return true;
        }
        if (left > segments || RoutingAddresses + (segments * Ipv6View.AddressLength) > routing.Length)
        {
            return false;
        }
        routing[SegmentsLeftOffset] = 0;
        Span<byte> addresses = routing[RoutingAddresses..], final = stackalloc byte[Ipv6View.AddressLength];
        addresses.Slice((segments - 1) * Ipv6View.AddressLength, Ipv6View.AddressLength).CopyTo(final);
        addresses = addresses[((segments - left) * Ipv6View.AddressLength)..];
        addresses[..((left - 1) * Ipv6View.AddressLength)].CopyTo(addresses[Ipv6View.AddressLength..]);
        daddr.CopyTo(addresses);
        final.CopyTo(daddr);
        return true;
    }
}
