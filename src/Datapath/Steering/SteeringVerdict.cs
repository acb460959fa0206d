namespace Xfrmd.Datapath.Steering;

/// <summary>
/// An action and, for <see cref="SteeringAction.Protect"/>, the number of the device class that takes the packet, and whether it takes the ICMP errors too
/// that quote one (XFRM_POLICY_ICMP).
/// </summary>
public readonly record struct SteeringVerdict(SteeringAction Action, int DeviceClass = 0, bool WithErrors = false);
