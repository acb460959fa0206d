using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>Messages about policies.</summary>
internal static class PolicyMessages
{
    /// <summary><c>pfkey_xfrm_policy2msg</c>. Null where PF_KEY has no number for a template's mode.</summary>
    /// <param name="header">Its reserved field gets the references.</param>
    /// <param name="policy">The policy.</param>
    /// <param name="direction">Direction part of its index.</param>
    /// <param name="references"><c>refcnt</c>: this one message shows it.</param>
    public static PfKeyWriter? WritePolicy(SadbMsg header, Policy policy, int direction, int references)
    {
        if (SocketAddress.Length(policy.Family) == 0 || Array.Exists(policy.TemplateArray, static t => PfKeyNumbers.ModeFromXfrm(t.Mode) is null))
        {
            return null;
        }
        header.Reserved = (ushort)references;
        PfKeyWriter writer = new(header);
        XfrmSelector selector = policy.Selector;
        byte proto = PfKeyNumbers.ProtoFromXfrm(selector.Proto);
        writer.PutAddress(SadbExtType.AddressSrc, proto, selector.PrefixlenS, new SocketAddress(policy.Family, selector.Saddr, selector.Sport));
        writer.PutAddress(SadbExtType.AddressDst, proto, selector.PrefixlenD, new SocketAddress(policy.Family, selector.Daddr, selector.Dport));
        writer.Put(SadbExtType.LifetimeHard, Lifetimes.Hard(policy.Lifetime));
        writer.Put(SadbExtType.LifetimeSoft, Lifetimes.Soft(policy.Lifetime));
        writer.Put(SadbExtType.LifetimeCurrent, Lifetimes.Current(policy.CurrentLifetime));
        int start = writer.Length;
        writer.Put(SadbExtType.XPolicy, new SadbXPolicy
        {
            Type = policy switch
            {
                { Action: not PolicyAction.Allow } => IpsecPolicyType.Discard,
                { TemplateArray.Length: > 0 } => IpsecPolicyType.Ipsec,
                _ => IpsecPolicyType.None,
            },
            Dir = (IpsecDir)(direction + 1),
            Id = policy.Index,
            Priority = policy.Priority,
        });
        int surplus = WriteRequests(writer, policy);
        writer.EndAt(start, SadbExtType.XPolicy);
        writer.Complete(surplus);
        return writer;
    }

    /// <summary><c>pfkey_send_migrate</c>. Null for what PF_KEY cannot say.</summary>
    public static PfKeyWriter? WriteMigrate(in SadbMsg header, in XfrmSelector selector, PolicyDirection direction, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress)
    {
        // pfkey_sockaddr_fill: netlink lets any family pass here.
        if (SocketAddress.Length(selector.Family) == 0 || (kmAddress is { } managers && SocketAddress.Length(managers.Family) == 0)
            || entries.Any(static e => SocketAddress.Length(e.OldFamily) == 0 || SocketAddress.Length(e.NewFamily) == 0))
        {
            return null;
        }
        PfKeyWriter writer = new(header);
        if (kmAddress is { } km)
        {
            WritePair(writer.Begin(SadbExtType.XKmaddress, new SadbXKmaddress { Reserved = km.Reserved }, SocketAddress.PairLength(km.Family)),
                km.Family, km.Local, km.Remote);
        }
        // set_sadb_address: here a protocol of 0 stays 0, and ports are left out.
        writer.PutAddress(SadbExtType.AddressSrc, selector.Proto, selector.PrefixlenS, new SocketAddress(selector.Family, selector.Saddr, default));
        writer.PutAddress(SadbExtType.AddressDst, selector.Proto, selector.PrefixlenD, new SocketAddress(selector.Family, selector.Daddr, default));
        int start = writer.Length;
        writer.Put(SadbExtType.XPolicy, new SadbXPolicy { Type = IpsecPolicyType.Ipsec, Dir = (IpsecDir)(direction + 1) });
        foreach (MigrateEntry entry in entries)
        {
            if (PfKeyNumbers.ModeFromXfrm(entry.Mode) is not { } mode)
            {
                writer.Dispose();
                return null;
            }
            SadbXIpsecrequest request = new()
            {
                Proto = entry.Proto,
                Mode = mode,
                Level = entry.Reqid != 0 ? IpsecLevel.Unique : IpsecLevel.Require,
                Reqid = entry.Reqid,
            };
            WriteRequest(writer, request, entry.OldFamily, entry.OldSaddr, entry.OldDaddr);
            WriteRequest(writer, request, entry.NewFamily, entry.NewSaddr, entry.NewDaddr);
        }
        writer.EndAt(start, SadbExtType.XPolicy);
        writer.Complete();
        return writer;
    }

    // Returns by how many bytes the header will claim more than there is: Linux counts the addresses of the template's own family, and takes
    // those of the policy's, or of the last tunnel, away again where the mode has none (pfkey_xfrm_policy2msg_size).
    private static int WriteRequests(PfKeyWriter writer, Policy policy)
    {
        int surplus = 0, addressLength = SocketAddress.Length(policy.Family);
        foreach (ref readonly PolicyTemplate template in policy.TemplateArray.AsSpan())
        {
            SadbXIpsecrequest request = new()
            {
                Proto = template.Id.Proto,
                Mode = PfKeyNumbers.ModeFromXfrm(template.Mode).GetValueOrDefault(),
                Level = template.IsOptional ? IpsecLevel.Use : template.Reqid != 0 ? IpsecLevel.Unique : IpsecLevel.Require,
                Reqid = template.Reqid,
            };
            if (template.Mode == XfrmMode.Tunnel)
            {
                addressLength = SocketAddress.Length(template.Family);
                WriteRequest(writer, request, template.Family, template.Saddr, template.Id.Daddr);
            }
            else
            {
                surplus += 2 * (SocketAddress.Length(template.Family) - addressLength);
                WriteRequest(writer, request, AddressFamily.Unspec, default, default);
            }
        }
        return surplus;
    }

    private static void WriteRequest(PfKeyWriter writer, SadbXIpsecrequest request, ushort family, in XfrmAddress source, in XfrmAddress destination)
    {
        int length = Unsafe.SizeOf<SadbXIpsecrequest>() + SocketAddress.PairLength(family);
        Span<byte> whole = writer.Extend(length);
        request.Len = (ushort)length;
        MemoryMarshal.Write(whole, request);
        WritePair(whole[Unsafe.SizeOf<SadbXIpsecrequest>()..], family, source, destination);
    }

    private static void WritePair(Span<byte> pair, ushort family, in XfrmAddress first, in XfrmAddress second)
    {
        new SocketAddress(family, first, default).WriteTo(pair);
        new SocketAddress(family, second, default).WriteTo(pair[SocketAddress.Length(family)..]);
    }
}
