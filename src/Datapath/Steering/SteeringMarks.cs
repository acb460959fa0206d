namespace Xfrmd.Datapath.Steering;

/// <summary>
/// The eight bits of the packet mark that xfrmd uses; the other bits stay the program's own. From the highest: bypass (the packet is
/// xfrmd's or an IKE daemon's), steer (an out policy covers the packet), emerged (it came out of a TUN), and five bits for the device class.
/// </summary>
/// <param name="Shift">Where the lowest of the eight bits lies.</param>
public readonly record struct SteeringMarks(int Shift)
{
    /// <summary>Classes that the five bits can tell apart.</summary>
    public const int Classes = 32;

    public static readonly SteeringMarks Default = new(24);

    public uint Bypass => 0x80u << Shift;

    public uint Steer => 0x40u << Shift;

    public uint Emerged => 0x20u << Shift;

    public uint ClassMask => 0x1Fu << Shift;

    /// <summary>All bits that are ours.</summary>
    public uint Owned => 0xFFu << Shift;

    public uint Class(int number) => (uint)number << Shift;
}
