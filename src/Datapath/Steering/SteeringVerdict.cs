namespace Xfrmd.Datapath.Steering;

/// <summary>An action and, for <see cref="SteeringAction.Protect"/>, the number of the device class that takes the packet.</summary>
public readonly record struct SteeringVerdict(SteeringAction Action, int DeviceClass = 0);
