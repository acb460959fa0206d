using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>The <c>sadb_x_ipsecrequest</c>s of a policy extension.</summary>
internal static class IpsecRequests
{
    /// <summary><c>parse_ipsecrequests</c>: the templates that they ask for.</summary>
    /// <param name="extension">The policy extension, as long as its length field says.</param>
    /// <param name="direction">The policy's.</param>
    /// <param name="family">The policy's; templates that are no tunnels have it.</param>
    /// <param name="nextReqid">Gives a reqid to level UNIQUE without one; 0: there is none left.</param>
    /// <param name="templates">In the order of the requests.</param>
    public static Errno Parse(ReadOnlySpan<byte> extension, IpsecDir direction, ushort family, Func<uint> nextReqid, out PolicyTemplate[] templates)
    {
        templates = [];
        List<PolicyTemplate> parsed = [];
        ReadOnlySpan<byte> rest = extension[Unsafe.SizeOf<SadbXPolicy>()..];
        while (MemoryMarshal.TryRead(rest, out SadbXIpsecrequest request))
        {
            if (request.Len > rest.Length || request.Len < Unsafe.SizeOf<SadbXIpsecrequest>())
            {
                return Errno.EINVAL;
            }
            if (parsed.Count >= SecurityAssociation.MaxDepth)
            {
                return Errno.ELOOP;
            }
            Errno errno = ParseOne(request, rest[Unsafe.SizeOf<SadbXIpsecrequest>()..request.Len], direction, family, nextReqid, out PolicyTemplate template);
            if (errno != Errno.None)
            {
                return errno;
            }
            parsed.Add(template);
            rest = rest[request.Len..];
        }
        templates = [.. parsed];
        return Errno.None;
    }

    /// <summary><c>ipsecrequests_to_migrate</c>: requests in pairs of old and new, of one protocol, mode and reqid.</summary>
    public static Errno ParseMigration(ReadOnlySpan<byte> extension, out List<MigrateEntry> entries)
    {
        entries = [];
        ReadOnlySpan<byte> rest = extension[Unsafe.SizeOf<SadbXPolicy>()..];
        while (!rest.IsEmpty && entries.Count < SecurityAssociation.MaxDepth)
        {
            if (!TryTakePair(ref rest, out SadbXIpsecrequest from, out SocketAddress oldSource, out SocketAddress oldDestination)
                // Linux wants the second one to be longer than its header here, which the addresses see to.
                || !TryTakePair(ref rest, out SadbXIpsecrequest to, out SocketAddress newSource, out SocketAddress newDestination)
                || from.Proto != to.Proto || from.Mode != to.Mode || from.Reqid != to.Reqid
                || PfKeyNumbers.ModeToXfrm(from.Mode) is not { } mode)
            {
                return Errno.EINVAL;
            }
            entries.Add(new MigrateEntry
            {
                OldSaddr = oldSource.Address,
                OldDaddr = oldDestination.Address,
                OldFamily = oldSource.Family,
                NewSaddr = newSource.Address,
                NewDaddr = newDestination.Address,
                NewFamily = newSource.Family,
                Proto = (byte)from.Proto,
                Mode = mode,
                Reqid = from.Reqid,
            });
        }
        return entries.Count != 0 && rest.IsEmpty ? Errno.None : Errno.EINVAL;
    }

    // parse_ipsecrequest
    private static Errno ParseOne(in SadbXIpsecrequest request, ReadOnlySpan<byte> addresses, IpsecDir direction, ushort family, Func<uint> nextReqid, out PolicyTemplate template)
    {
        template = default;
        if (request.Mode == IpsecMode.Any || !IsProtocol(request.Proto) || PfKeyNumbers.ModeToXfrm(request.Mode) is not { } mode)
        {
            return Errno.EINVAL;
        }
        template.Id.Proto = (byte)request.Proto;
        template.ModeByte = (byte)mode;
        if (request.Level == IpsecLevel.Use)
        {
            if (mode != XfrmMode.Transport && direction == IpsecDir.Outbound)
            {
                return Errno.EINVAL;
            }
            template.Optional = 1;
        }
        else if (request.Level == IpsecLevel.Unique)
        {
            template.Reqid = request.Reqid is 0 or > ReqidGenerator.ManualMax ? nextReqid() : request.Reqid;
            if (template.Reqid == 0)
            {
                return Errno.ENOBUFS;
            }
        }
        template.Family = family;
        if (mode == XfrmMode.Tunnel)
        {
            if (!SocketAddress.TryReadPair(addresses, out SocketAddress source, out SocketAddress destination))
            {
                return Errno.EINVAL;
            }
            template.Saddr = source.Address;
            template.Id.Daddr = destination.Address;
            template.Family = source.Family;
        }
        return Errno.None;
    }

    private static bool TryTakePair(ref ReadOnlySpan<byte> rest, out SadbXIpsecrequest request, out SocketAddress source, out SocketAddress destination)
    {
        source = default;
        destination = default;
        if (!MemoryMarshal.TryRead(rest, out request) || request.Len > rest.Length || request.Len < Unsafe.SizeOf<SadbXIpsecrequest>()
            || !SocketAddress.TryReadPair(rest[Unsafe.SizeOf<SadbXIpsecrequest>()..request.Len], out source, out destination))
        {
            return false;
        }
        rest = rest[request.Len..];
        return true;
    }

    // xfrm_id_proto_valid; the request's field is wider than a protocol number, and what is above is not looked at.
    private static bool IsProtocol(ushort proto) =>
        (byte)proto is IpProtocol.Ah or IpProtocol.Esp or IpProtocol.Comp or IpProtocol.Routing or IpProtocol.DstOpts;
}
