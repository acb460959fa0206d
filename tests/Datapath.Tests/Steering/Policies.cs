using System.Net;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>Policies for tests, written as a person would.</summary>
internal static class Policies
{
    public static Policy Out(string source, string destination, uint priority = 0, byte proto = 0, (ushort Value, ushort Mask) sport = default,
        (ushort Value, ushort Mask) dport = default, bool protect = true, PolicyAction action = PolicyAction.Allow, XfrmMark mark = default,
        int ifindex = 0, uint ifId = 0, PolicyDirection direction = PolicyDirection.Out, PolicyType type = PolicyType.Main)
    {
        (IPAddress s, byte sl) = Prefix(source);
        (IPAddress d, byte dl) = Prefix(destination);
        return new Policy
        {
            Type = type,
            Direction = direction,
            Priority = priority,
            Action = action,
            Mark = mark,
            IfId = ifId,
            TemplateArray = protect && action == PolicyAction.Allow ? [new PolicyTemplate { Id = new XfrmId { Proto = IpProtocol.Esp } }] : [],
            Selector = new XfrmSelector
            {
                Family = s.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? AddressFamily.Inet : AddressFamily.Inet6,
                Saddr = XfrmAddress.From(s),
                Daddr = XfrmAddress.From(d),
                PrefixlenS = sl,
                PrefixlenD = dl,
                Proto = proto,
                Sport = Be16.From(sport.Value),
                SportMask = Be16.From(sport.Mask),
                Dport = Be16.From(dport.Value),
                DportMask = Be16.From(dport.Mask),
                Ifindex = ifindex,
            },
        };
    }

    private static (IPAddress Address, byte Length) Prefix(string text)
    {
        string[] parts = text.Split('/');
        IPAddress address = IPAddress.Parse(parts[0]);
        return (address, parts.Length > 1 ? byte.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture) : (byte)(address.GetAddressBytes().Length * 8));
    }
}
