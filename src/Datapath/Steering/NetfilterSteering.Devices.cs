using System.Globalization;
using Microsoft.Extensions.Logging;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Steering;

// The TUN devices, and the tables and rules of routing that lead to them.
public sealed partial class NetfilterSteering
{
    public SteeringDevice DeviceFor(uint ifId)
    {
        lock (_lock)
        {
            SteeringDevice device = FindOrAddDevice(ifId);
            CommitOrRewrite();
            return device;
        }
    }

    public void SetMtu(uint ifId, int mtu)
    {
        lock (_lock)
        {
            foreach (SteeringDevice device in _devices.Where(d => d.DeviceClass < 0 && d.IfId == ifId))
            {
                _routes.SetMtu(device.Tun.Ifindex, mtu);
            }
        }
    }

    private void StartRouting()
    {
        uint n = _options.RulePriority;
        AddTable(0);
        _routes.AddRule(new RouteRule(n + 3, RouteRule.Nop));
        _devices = [MakeDevice(_options.Tun.Name, 0, default, 0, 0)];
        _down.Add(_devices[0]);
    }

    /// <summary>The refusing route first, then the rules: from the first marked packet on nothing passes in clear.</summary>
    private void AddTable(int deviceClass)
    {
        uint table = _options.RoutingTable + (uint)deviceClass, n = _options.RulePriority, number = _options.Marks.Class(deviceClass);
        _routes.AddUnreachableDefault(table, UnreachableMetric);
        SteeringMarks marks = _options.Marks;
        uint both = marks.Steer | marks.Emerged;
        _routes.AddRule(new RouteRule(n, RouteRule.ToTable, table, both | number, both | marks.ClassMask));
        _routes.AddRule(new RouteRule(n + 2, RouteRule.ToTable, table, marks.Steer | number, marks.Steer | marks.ClassMask));
        _routes.AddRule(new RouteRule(n + 2, RouteRule.ToTable, table, marks.Emerged | number, marks.Emerged | marks.ClassMask));
    }

    private SteeringDevice MakeDevice(string name, uint ifId, XfrmMark mark, int outputInterface, int deviceClass, bool users = false, SocketClass? sockets = null)
    {
        TunOptions options = _options.Tun with
        {
            Name = name,
            Mtu = deviceClass < 0 ? _options.Tun.Mtu : MaxMtu,
            FirstIndex = users ? 0 : (int)_options.RoutingTable * IndexesPerTable,
        };
        string? obstacle = null;
        (TunDevice tun, TunMark? marker) = NetworkNamespace.Run(_netns, () =>
        {
            TunDevice made = TunDevice.Create(options, _routes);
            return (made, TunMark.TryAttach(made.Ifindex, out obstacle));
        });
        if (obstacle is not null)
        {
            _logger.CannotGiveMarks(tun.Name, obstacle);
        }
        return new SteeringDevice(tun, ifId, mark, outputInterface, deviceClass) { Sockets = sockets, Marker = marker };
    }

    /// <summary>A device comes up when the rules know it; until then its table refuses.</summary>
    private void BringUpDevices()
    {
        foreach (SteeringDevice device in _down)
        {
            _routes.BringUp(device.Tun.Ifindex);
            if (device.DeviceClass >= 0)
            {
                _routes.AddRule(new RouteRule(_options.RulePriority + 1, RouteRule.Goto, _options.RulePriority + 3, InputInterface: device.Tun.Name));
                _routes.AddDefaultRoute(_options.RoutingTable + (uint)device.DeviceClass, device.Tun.Ifindex, _options.RouteMetric);
            }
            _logger.DeviceUp(device.Tun.Name, device.Tun.Ifindex, device.Tun.Offloads);
        }
        _down.Clear();
    }

    private SteeringDevice AddDevice(string name, uint ifId, XfrmMark mark, int outputInterface, int deviceClass, bool users = false, SocketClass? sockets = null)
    {
        SteeringDevice device = MakeDevice(name, ifId, mark, outputInterface, deviceClass, users, sockets);
        _devices = [.. _devices, device];
        _down.Add(device);
        if (deviceClass >= 0)
        {
            _redirect?.SetDevice(deviceClass, device.Tun.Ifindex);
        }
        _base.WriteIngressOf(device);
        DeviceAdded?.Invoke(device);
        return device;
    }

    private SteeringDevice FindOrAddDevice(uint ifId) =>
        _devices.FirstOrDefault(d => ifId == 0 ? d.DeviceClass == 0 : d.IfId == ifId)
        ?? AddDevice(string.Create(CultureInfo.InvariantCulture, $"xfrm-{ifId}"), ifId, default, 0, -1);

    private SteeringDevice? DeviceOfClass(int deviceClass)
    {
        foreach (SteeringDevice device in _devices)
        {
            if (device.DeviceClass == deviceClass)
            {
                return device;
            }
        }
        return null;
    }

    private void MakeDeviceFor(Policy policy)
    {
        if (policy.IfId != 0)
        {
            FindOrAddDevice(policy.IfId);
        }
        else if (policy is { Direction: PolicyDirection.Out, Action: PolicyAction.Allow, TemplateArray.Length: > 0 })
        {
            if (_classes.NumberOf(policy) is not { } number)
            {
                _logger.NoClassLeft(policy.Mark.V, policy.Mark.M, policy.Selector.Ifindex);
            }
            else if (DeviceOfClass(number) is null)
            {
                AddTable(number);
                AddDevice(_options.Tun.Name, 0, policy.Mark, policy.Selector.Ifindex, number);
            }
        }
    }
}
