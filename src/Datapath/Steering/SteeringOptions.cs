using Xfrmd.Linux;

namespace Xfrmd.Datapath.Steering;

/// <summary>Names and numbers that steering uses in a network namespace.</summary>
public sealed record SteeringOptions
{
    public SteeringMarks Marks { get; init; } = SteeringMarks.Default;

    /// <summary>The nftables table (family inet).</summary>
    public string TableName { get; init; } = "xfrmd";

    /// <summary>The first of four rule priorities. All must be smaller than charon's 220, whose table has routes that lead past the TUN.</summary>
    public uint RulePriority { get; init; } = 200;

    /// <summary>The routing table of device class 0; class n has the table with this number plus n.</summary>
    public uint RoutingTable { get; init; } = 4240;

    /// <summary>The group of nfnetlink_log to which the rules show what they drop.</summary>
    public ushort LogGroup { get; init; } = 4240;

    /// <summary>Metric of the default route into the TUN: so high that a program that reads all tables prefers any other.</summary>
    public uint RouteMetric { get; init; } = 1_000_000_000;

    /// <summary>How the TUN devices are made.</summary>
    public TunOptions Tun { get; init; } = new();
}
