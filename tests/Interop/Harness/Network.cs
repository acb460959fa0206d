using System.Net;

namespace Xfrmd.Interop.Harness;

/// <summary>An address prefix. (<see cref="IPNetwork"/> refuses host bits, which a scenario may well write.)</summary>
public sealed record Network(IPNetwork Prefix)
{
    public static Network Parse(string text)
    {
        string[] parts = text.Split('/');
        IPAddress address = IPAddress.Parse(parts[0]);
        int length = parts.Length > 1 ? int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture) : address.GetAddressBytes().Length * 8;
        return new Network(new IPNetwork(address, length));
    }

    public bool Contains(IPAddress address) => address.AddressFamily == Prefix.BaseAddress.AddressFamily && Prefix.Contains(address);
}
