namespace Xfrmd.Interop.Harness;

/// <summary>Two gateways, each with its own xfrmd and its own pluto.</summary>
public sealed class PlutoPair : IDisposable
{
    public PlutoPair()
    {
        Net = new Gateways();
        try
        {
            (LeftDaemon, RightDaemon) = Net.StartDaemons();
            Left = new Pluto(Net.Left, LeftDaemon, Net.Lab.Folder);
            Right = new Pluto(Net.Right, RightDaemon, Net.Lab.Folder);
        }
        catch
        {
            Net.Dispose();
            throw;
        }
    }

    public Gateways Net { get; }

    public XfrmdDaemon LeftDaemon { get; }

    public XfrmdDaemon RightDaemon { get; }

    public Pluto Left { get; }

    public Pluto Right { get; }

    /// <summary>Loads the same connection into both: which side is its own, pluto finds out.</summary>
    /// <param name="name">Of the connection.</param>
    /// <param name="options">Lines for both sides, parted by semicolons.</param>
    /// <param name="six">The outer addresses are of IPv6.</param>
    /// <param name="leftOptions">Lines for the left side alone.</param>
    public void Load(string name, string options, bool six = false, string leftOptions = "")
    {
        (string left, string right) = six ? (Gateways.LeftAddress6, Gateways.RightAddress6) : (Gateways.LeftAddress, Gateways.RightAddress);
        Left.Load(name, $"left={left}; right={right}; {options}; {leftOptions}");
        Right.Load(name, $"left={left}; right={right}; {options}");
    }

    /// <summary>Ends a connection; afterwards neither kernel interface holds anything, and pluto has complained of nothing.</summary>
    public void Close(string name)
    {
        Left.Delete(name);
        Right.Delete(name);
        foreach ((XfrmdDaemon daemon, Host host) in new[] { (LeftDaemon, Net.Left), (RightDaemon, Net.Right) })
        {
            // What stays are pluto's two policies for neighbour discovery, and SAs that were asked for and never came (spi 0).
            Wait.Until(
                () => !daemon.IpXfrm(host, "state").Split("\nsrc ").Any(state => state.Contains("spi 0x", StringComparison.Ordinal) && !state.Contains("spi 0x00000000", StringComparison.Ordinal))
                    && !daemon.IpXfrm(host, "policy list nosock").Split('\n').Any(line => line.StartsWith("src", StringComparison.Ordinal) && !line.Contains("ipv6-icmp", StringComparison.Ordinal)),
                $"{host.Name} has no SAs and policies of {name} any more");
        }
        Left.AssertNoKernelErrors();
        Right.AssertNoKernelErrors();
    }

    public void Dispose() => Net.Dispose();
}
