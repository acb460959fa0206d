using Xfrmd.Datapath.Steering;

namespace Xfrmd.Datapath.Engine;

/// <summary>What is known of every packet that comes out of a device, and which the packet does not tell.</summary>
/// <param name="Mark">Its mark.</param>
/// <param name="OutputInterface">The interface that routing had chosen.</param>
/// <param name="IfId">The XFRM interface that the device stands for.</param>
/// <param name="MarkMask">How much of the mark the policies of the device ask for.</param>
/// <param name="Sockets">The sockets that send what comes out of it; null: any.</param>
public readonly record struct DeviceTraits(uint Mark, int OutputInterface, uint IfId, uint MarkMask = 0, SocketClass? Sockets = null);
