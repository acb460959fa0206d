using System.Globalization;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>SAs, policies and flows as a person reads them.</summary>
internal static class Describe
{
    public static string Protocol(byte proto) => proto switch
    {
        0 => "any",
        IpProtocol.Icmp => "icmp",
        IpProtocol.Tcp => "tcp",
        IpProtocol.Udp => "udp",
        IpProtocol.Esp => "esp",
        IpProtocol.Ah => "ah",
        IpProtocol.Comp => "comp",
        IpProtocol.Icmpv6 => "icmpv6",
        _ => proto.ToString(CultureInfo.InvariantCulture),
    };

    public static bool TryProtocol(string text, out byte proto)
    {
        (proto, bool known) = text.ToLowerInvariant() switch
        {
            "any" or "all" => ((byte)0, true),
            "icmp" => (IpProtocol.Icmp, true),
            "tcp" => (IpProtocol.Tcp, true),
            "udp" => (IpProtocol.Udp, true),
            "esp" => (IpProtocol.Esp, true),
            "ah" => (IpProtocol.Ah, true),
            "icmpv6" or "ipv6-icmp" => (IpProtocol.Icmpv6, true),
            _ => ((byte)0, false),
        };
        return known || byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out proto);
    }

    public static string Flow(in Flow flow)
    {
        if (flow.Family == 0)
        {
            return "unknown flow";
        }
        bool ports = flow.Proto is IpProtocol.Tcp or IpProtocol.Udp;
        return $"{End(flow.Saddr, flow.Sport, flow.Family, ports)} → {End(flow.Daddr, flow.Dport, flow.Family, ports)} {Protocol(flow.Proto)}";
    }

    // Port 0: not known, or any.
    private static string End(in XfrmAddress address, ushort port, ushort family, bool hasPorts)
    {
        string text = address.ToString(family);
        return !hasPorts || port == 0 ? text : family == AddressFamily.Inet6 ? $"[{text}]:{port}" : $"{text}:{port}";
    }

    public static string Selector(in XfrmSelector selector)
    {
        ushort family = selector.Family == 0 ? AddressFamily.Inet : selector.Family;
        string text = $"{selector.Saddr.ToString(family)}/{selector.PrefixlenS} → {selector.Daddr.ToString(family)}/{selector.PrefixlenD}";
        if (selector.Proto != 0)
        {
            text += " " + Protocol(selector.Proto);
        }
        if (selector.SportMask.Raw != 0)
        {
            text += $" sport {selector.Sport.Value}";
        }
        if (selector.DportMask.Raw != 0)
        {
            text += $" dport {selector.Dport.Value}";
        }
        return text;
    }

    public static string Mode(XfrmMode mode) => mode switch
    {
        XfrmMode.Transport => "transport",
        XfrmMode.Tunnel => "tunnel",
        XfrmMode.Beet => "beet",
        XfrmMode.Iptfs => "iptfs",
        XfrmMode.RouteOptimization => "ro",
        _ => ((byte)mode).ToString(CultureInfo.InvariantCulture),
    };

    public static string Template(in PolicyTemplate template)
    {
        string text = $"{Protocol(template.Id.Proto)} {Mode(template.Mode)} reqid {template.Reqid}";
        if (template.HasTunnelAddresses)
        {
            text += $" {template.Saddr.ToString(template.Family)} → {template.Id.Daddr.ToString(template.Family)}";
        }
        if (template.Id.Spi.Raw != 0)
        {
            text += $" spi 0x{template.Id.Spi.Value:x8}";
        }
        return template.IsOptional ? text + " (optional)" : text;
    }

    public static string Sa(SecurityAssociation sa) =>
        $"{Protocol(sa.Id.Proto)} 0x{sa.Id.Spi.Value:x8} {sa.Saddr.ToString(sa.Family)} → {sa.Id.Daddr.ToString(sa.Family)} reqid {sa.Reqid} {Mode(sa.Mode)}, {sa.State.ToString().ToLowerInvariant()}";

    public static SaReport Report(SecurityAssociation sa, ulong now, bool showKeys)
    {
        ReplayState replay = sa.Replay.Snapshot();
        XfrmLifetimeCur current = sa.CurrentLifetime;
        XfrmStats stats = sa.Stats;
        return new SaReport
        {
            Source = sa.Saddr.ToString(sa.Family),
            Destination = sa.Id.Daddr.ToString(sa.Family),
            Family = sa.Family == AddressFamily.Inet6 ? "ipv6" : "ipv4",
            Protocol = Protocol(sa.Id.Proto),
            Spi = $"0x{sa.Id.Spi.Value:x8}",
            Reqid = sa.Reqid,
            Mode = Mode(sa.Mode),
            State = sa.State.ToString().ToLowerInvariant(),
            Direction = sa.Direction == SaDirection.None ? null : sa.Direction.ToString().ToLowerInvariant(),
            Cipher = sa.Aead?.Name ?? sa.Crypt?.Name ?? sa.Comp?.Name,
            CipherKeyBits = sa.Aead?.KeyBits ?? sa.Crypt?.KeyBits ?? 0,
            CipherKey = showKeys && (sa.Aead?.Key ?? sa.Crypt?.Key) is { } key ? Convert.ToHexStringLower(key.Span) : null,
            Integrity = sa.Auth?.Name,
            IntegrityBits = sa.Aead?.IcvBits ?? sa.Auth?.TruncBits ?? 0,
            AuthKey = showKeys && sa.Auth is { } auth ? Convert.ToHexStringLower(auth.Key.Span) : null,
            Encapsulation = sa.Encap is { } encap ? $"udp {encap.EncapSport.Value} → {encap.EncapDport.Value}" : null,
            Selector = Selector(sa.Selector),
            Esn = sa.IsEsn,
            Dying = sa.IsDying,
            SequenceOut = ((ulong)replay.OseqHi << 32) | replay.Oseq,
            SequenceIn = ((ulong)replay.SeqHi << 32) | replay.Seq,
            ReplayWindow = replay.Mode == ReplayMode.Legacy ? sa.LegacyReplayWindow : replay.Window,
            Bytes = current.Bytes,
            Packets = current.Packets,
            AddedAt = current.AddTime,
            UsedAt = sa.LastUsed,
            RekeyInSeconds = Left(sa.Lifetime.SoftAddExpiresSeconds),
            ExpiresInSeconds = Left(sa.Lifetime.HardAddExpiresSeconds),
            ReplayErrors = stats.Replay,
            ReplayWindowErrors = stats.ReplayWindow,
            IntegrityErrors = stats.IntegrityFailed,
            IfId = sa.IfId,
            Mark = Mark(sa.Mark),
        };

        ulong? Left(ulong limit) => limit == 0 ? null : sa.AddTime + limit > now ? sa.AddTime + limit - now : 0;
    }

    public static PolicyReport Report(Policy policy) => new()
    {
        Selector = Selector(policy.Selector),
        Direction = policy.Direction.ToString().ToLowerInvariant(),
        Action = policy.Action == PolicyAction.Block ? "block" : policy.TemplateArray.Length == 0 ? "bypass" : "protect",
        Priority = policy.Priority,
        Index = policy.Index,
        Type = policy.Type.ToString().ToLowerInvariant(),
        Templates = [.. policy.TemplateArray.Select(t => Template(t))],
        AddedAt = policy.AddTime,
        UsedAt = policy.UseTime,
        IfId = policy.IfId,
        Mark = Mark(policy.Mark),
    };

    private static string? Mark(XfrmMark mark) => mark.IsSet ? $"0x{mark.V:x}/0x{mark.M:x}" : null;
}
